#!/usr/bin/env bash
# Everything that must hold for the Rust crates:
#
#     RELAYATTN_PREFIX=/usr/local bash bindings/rust/test.sh
#
# RELAYATTN_PREFIX is where the library is installed. Output goes to build/bindings/rust.
#
#   RELAYATTN_TEST_QUICK=1         shortens the drops under load from 60 s to 5 s
#   RELAYATTN_REQUIRE_BINDINGS=1   without libclang the comparison with bindgen fails, instead of being
#                                  skipped
set -uo pipefail

prefix=$(cd "${RELAYATTN_PREFIX:?is not set}" && pwd) || exit 1
root=$(cd "$(dirname "$0")/../.." && pwd)
out=$root/build/bindings/rust
packed=$(mktemp -d) # outside the tree, where a packed crate has to do without it
trap 'rm -rf "$packed"' EXIT
export RELAYATTN_PREFIX=$prefix PKG_CONFIG_PATH=$prefix/lib/pkgconfig LD_LIBRARY_PATH=$prefix/lib
export CARGO_TARGET_DIR=$out CARGO_TERM_COLOR=never CARGO_INCREMENTAL=0
mkdir -p "$out/logs"
cd "$root/bindings/rust" || exit 1
language=rust logs=$out/logs
. ../check.sh

example() { cargo "$1" --manifest-path "$root/examples/rust/Cargo.toml" "${@:2}"; }

formatted() { cargo fmt --all --check && example fmt --check; }

regenerated() {
    rm -rf "$out/generated"
    bash generate/generate.sh "$out/generated" && diff -ru relayattn-sys/src/generated "$out/generated"
}

linted() {
    cargo clippy --workspace --all-targets --features half,ndarray -- -D warnings &&
        cargo clippy --workspace --all-targets --all-features -- -D warnings &&
        example clippy -- -D warnings
}

tested() { cargo test --features half,ndarray -- --skip storm; }

tested_by_dlopen() ( # in a shell of its own, for unset
    unset PKG_CONFIG_PATH LD_LIBRARY_PATH
    RELAYATTN_LIBRARY=$prefix/lib/librelayattn.so.0 \
        cargo test -p relayattn --features dlopen --tests -- --skip storm
)

tested_statically() {
    [ -f "$prefix/lib/librelayattn.a" ] || { echo "no static library is installed"; return 0; }
    RELAYATTN_STATIC=1 RELAYATTN_LIB_DIR=$prefix/lib CARGO_TARGET_DIR=$out/static \
        cargo test -p relayattn --test allocations
}

documented() { RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --features half,ndarray; }

packaged() {
    bash stage.sh "$packed/stage" &&
        (cd "$packed/stage" && cargo package --workspace --allow-dirty)
}

# The packed crates build the C++ library by themselves, where nothing else of it can be found.
tested_packed() ( # in a shell of its own, for cd and unset
    unset PKG_CONFIG_PATH LD_LIBRARY_PATH RELAYATTN_PREFIX
    mkdir "$packed/crates" && cd "$packed/crates" || return 1
    for crate in relayattn-sys relayattn; do
        tar xzf "$out/package/$crate-0.1.0.crate" && mv $crate-0.1.0 $crate || return 1
    done
    printf '%s\n' '[workspace]' 'members = ["relayattn"]' 'resolver = "3"' \
        '[patch.crates-io]' 'relayattn-sys = { path = "relayattn-sys" }' > Cargo.toml
    RELAYATTN_PACKED=1 CARGO_TARGET_DIR=$packed/target \
        cargo test -p relayattn --features vendored -- --skip storm
)

libclang() {
    local found
    found=$(find "${LIBCLANG_PATH:-/usr/lib}" -name 'libclang[.-]*so*' -print -quit 2> /dev/null)
    [ -n "$found" ] && dirname "$found"
}

compared_with_bindgen() { LIBCLANG_PATH=$(libclang) cargo test -p header-check; }

echo "rust: $(rustc --version)"
check "rustfmt" formatted
check "generated files" regenerated
check "clippy" linted
check "tests" tested

# Drops under load take a minute, beside everything else.
(check "drops under load" cargo test --features half,ndarray --test all -- storm; exit $failed) &
load=$!
check "tests by dlopen" tested_by_dlopen
check "tests linked statically" tested_statically
if [ -n "$(libclang)" ]; then
    check "header seen by bindgen" compared_with_bindgen
elif [ -n "${RELAYATTN_REQUIRE_BINDINGS:-}" ]; then
    echo "rust: header seen by bindgen: FAILED (there is no libclang here)"
    failed=1
else
    echo "rust: header seen by bindgen: SKIPPED (there is no libclang here)"
fi
check "documentation" documented
check "packages" packaged
check "packed crates outside the tree" tested_packed
check "example" example run
check "overhead program" cargo run --quiet --release -p relayattn --example overhead
wait "$load" || failed=1
exit $failed
