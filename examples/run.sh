#!/usr/bin/env bash
# The demo, from nothing: bash examples/run.sh
#
# Installs what is missing (Debian or Ubuntu; as root or by sudo), builds into build/demo, and serves 64 requests
# over one long system prompt in three ways: from a shared prefix by relay attention, from the same shared pages
# by flat attention, and with a copy of the prompt for every request. Prints questions, answers, the comparison
# and the score. It can be run again at any time; further arguments go to the program (see --help).
set -euo pipefail

cd "$(dirname "$0")/.."
say() { printf '[%3d s] %s\n' "$SECONDS" "$*"; }

install_packages() {
    local wanted=(g++ cmake ninja-build nlohmann-json3-dev libopenblas-dev) missing=() package root=()
    for package in "${wanted[@]}"; do
        dpkg-query -W -f '${Status}' "$package" 2> /dev/null | grep -q 'ok installed' ||
            missing+=("$package")
    done
    if [ ${#missing[@]} -eq 0 ]; then
        say "packages: nothing is missing"
        return
    fi
    if ! command -v apt-get > /dev/null; then
        say "packages: no apt-get here; please install what corresponds to: ${missing[*]}"
        return
    fi
    say "packages: installing ${missing[*]}"
    [ "$(id -u)" -eq 0 ] || root=(sudo)
    quietly "${root[@]}" apt-get update
    quietly "${root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y --no-install-recommends "${missing[@]}"
}

# Shows what a command printed only when it fails.
quietly() {
    local log
    log=$(mktemp)
    if ! "$@" < /dev/null > "$log" 2>&1; then
        cat "$log"
        rm -f "$log"
        say "failed: $*"
        exit 1
    fi
    rm -f "$log"
}

install_packages
say "build: build/demo"
quietly cmake -S . -B build/demo -G Ninja -DCMAKE_BUILD_TYPE=Release -DRELAYATTN_CUDA=OFF \
    -DRELAYATTN_BUILD_TESTS=OFF
quietly cmake --build build/demo --parallel "$(nproc)" --target relayattn-serve
say "the demo: each request asks a small language model about facts that stand in the system prompt"
models=examples/models
build/demo/examples/serve/relayattn-serve --model $models/directory-llama \
    --system $models/prompts/system.txt --child $models/prompts/child.txt \
    --requests $models/prompts/requests.jsonl "$@"
say "done"
