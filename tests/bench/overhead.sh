#!/usr/bin/env bash
# What a call costs in each language beyond what it costs in C:
#
#     RELAYATTN_PREFIX=/usr/local bash tests/bench/overhead.sh [--check] [rust|go|java]...
#
# All languages unless some are named; one whose tools are not here is left out and said so. The
# programs take turns, RELAYATTN_OVERHEAD_ROUNDS times (5); of each the round that others disturbed
# least counts, the one with the lowest figure. With --check a figure above its bar is a failure.
set -euo pipefail

prefix=$(cd "${RELAYATTN_PREFIX:?is where the library is installed}" && pwd)
root=$(cd "$(dirname "$0")/../.." && pwd)
out=$root/build/bindings/overhead
rounds=${RELAYATTN_OVERHEAD_ROUNDS:-5}
export RELAYATTN_PREFIX=$prefix
export PKG_CONFIG_PATH=$prefix/lib/pkgconfig LD_LIBRARY_PATH=$prefix/lib
check=
languages=()
for argument in "$@"; do
    case $argument in
        --check) check=--check ;;
        rust | go | java) languages+=("$argument") ;;
        *) echo "overhead.sh: $argument is not --check, rust, go or java" >&2; exit 2 ;;
    esac
done
[ ${#languages[@]} -gt 0 ] || languages=(rust go java)

tool_of() { case $1 in rust) echo cargo ;; go) echo go ;; java) echo javac ;; esac; }

build_c() {
    local flags
    read -ra flags <<< "$(pkg-config --cflags --libs relayattn)"
    "${CC:-cc}" -std=c11 -O2 -Wall -Wextra -Wpedantic "$root/tests/bench/overhead/overhead.c" \
        "${flags[@]}" -o "$out/c"
}

run() { # run LANGUAGE: prints one line of JSON
    local own=$root/bindings/$1/overhead.sh
    if [ "$1" = c ]; then
        "$out/c"
    elif [ -f "$own" ]; then
        bash "$own"
    elif [ "$1" = rust ]; then
        (cd "$root/bindings/rust" && CARGO_TARGET_DIR=$root/build/bindings/rust \
            cargo run --quiet --release -p relayattn --example overhead)
    else
        go -C "$root/bindings/go" run ./cmd/overhead
    fi | tail -n 1
}

mkdir -p "$out"
: > "$out/lines"
build_c
found=(c)
for language in "${languages[@]}"; do
    if command -v "$(tool_of "$language")" > /dev/null; then
        run "$language" > "$out/first" # builds it, and warms up
        found+=("$language")
    else
        echo "$language is left out: there is no $(tool_of "$language") here"
    fi
done
for ((round = 0; round < rounds; round++)); do
    for language in "${found[@]}"; do
        run "$language" >> "$out/lines"
    done
done
python3 "$root/tests/bench/overhead/table.py" $check "$out/lines"
