#!/usr/bin/env bash
# Makes FOLDER a workspace whose two crates can be packed and published: with the C++ sources that the
# feature `vendored` builds, the licence, and nothing else of this tree.
#
#     bash bindings/rust/stage.sh FOLDER
#     cd FOLDER && cargo publish --workspace
set -euo pipefail

[ $# -eq 1 ] || { echo "usage: stage.sh FOLDER" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
mkdir -p "$1"
folder=$(cd "$1" && pwd)
[ -z "$(ls -A "$folder")" ] || { echo "stage.sh: $folder is not empty" >&2; exit 1; }

sed 's/, "header-check"//' "$here/Cargo.toml" > "$folder/Cargo.toml"
cp -RL "$here/relayattn-sys" "$here/relayattn" "$folder" # relayattn's README.md is a link
vendor=$folder/relayattn-sys/vendor
mkdir "$vendor"
cp -R "$root"/{CMakeLists.txt,LICENSE,NOTICE,capi,cmake,impl,pkgconfig} "$vendor"
for crate in relayattn-sys relayattn; do
    cp "$root/LICENSE" "$root/NOTICE" "$folder/$crate"
done
