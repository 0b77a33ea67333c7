# cmake --install gives every file that the README promises.
. "$(dirname "$0")/common.sh"

rm -rf "$PREFIX"
install_to "$PREFIX"
lib=$(lib_dir "$PREFIX")
files=(
    "$PREFIX/include/relayattn/relayattn.h"
    "$lib/librelayattn.so" "$lib/librelayattn.so.0"
    "$lib/pkgconfig/relayattn.pc"
    "$lib/cmake/relayattn/relayattn-config.cmake"
    "$lib/cmake/relayattn/relayattn-config-version.cmake"
    "$lib/cmake/relayattn/relayattn-targets.cmake"
    "$PREFIX/share/doc/relayattn/LICENSE"
    "$PREFIX/share/doc/relayattn/NOTICE"
)
[ "$STATIC" != ON ] || files+=("$lib/librelayattn.a")
for file in "${files[@]}"; do
    [ -e "$file" ] || fail "$file was not installed"
done

if grep -rIl -e "$SOURCE" -e "$BUILD" "$PREFIX"/include "$lib"/cmake "$lib"/pkgconfig; then
    fail "these files name the source or build directory"
fi
find "$PREFIX" ! -type d | sort
