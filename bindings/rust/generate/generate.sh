#!/usr/bin/env bash
# Writes what relayattn-sys says about relayattn.h, from SWIG's description of that header:
#
#     bash bindings/rust/generate/generate.sh [OUT_DIR]
#
# OUT_DIR is relayattn-sys/src/generated unless given. Users of the crate need none of this.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../.." && pwd)
out=${1:-$here/../relayattn-sys/src/generated}
include=$root/capi/include
work=$root/build/bindings/rust/generate

mkdir -p "$work" "$out"
bash "$root/bindings/swig/swig.sh" "$root/build/swig" -xml "-I$include" -o "$work/relayattn.xml" \
    "$root/bindings/swig/relayattn.i"
PYTHONDONTWRITEBYTECODE=1 python3 "$here/generate.py" "$work/relayattn.xml" "$include" "$out"
rustfmt --edition 2024 --config-path "$here/.." "$out"/{,loaded/}*.rs
