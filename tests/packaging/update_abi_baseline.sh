#!/usr/bin/env bash
# update_abi_baseline.sh BUILD: writes abi-baseline.abi from the library of a build directory that
# was configured with RELAYATTN_BUILD_TESTS=ON (its API then carries debug information).
set -euo pipefail

build=${1:?usage: update_abi_baseline.sh BUILD_DIRECTORY}
here=$(cd "$(dirname "$0")" && pwd)
lib=$(find "$build" -name librelayattn.so -print -quit)
[ -n "$lib" ] || { echo "no librelayattn.so under $build" >&2; exit 1; }

abidw --exported-interfaces-only --no-show-locs --no-corpus-path --no-comp-dir-path --no-elf-needed \
      --out-file "$here/abi-baseline.abi" "$(readlink -f "$lib")"
# Where it was built is no part of an ABI.
sed -i "s|path='[^']*/capi/|path='capi/|" "$here/abi-baseline.abi"
echo "wrote $here/abi-baseline.abi"
