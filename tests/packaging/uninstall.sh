# Install, then uninstall: no file, no link and no directory of ours stays; others' files do.
. "$(dirname "$0")/common.sh"

mkdir -p "$SCRATCH/root/include"
touch "$SCRATCH/root/include/of_others.h"
install_to "$SCRATCH/root"
"$CMAKE" -DMANIFEST="$SCRATCH/manifest.ours" -P "$SOURCE/cmake/uninstall.cmake"

left=$(find "$SCRATCH/root" ! -type d)
[ "$left" = "$SCRATCH/root/include/of_others.h" ] || fail "left behind: $left"
own=$(find "$SCRATCH/root" -type d -name relayattn)
[ -z "$own" ] || fail "left behind: $own"

# The target itself, which takes the build directory's own record, exists.
"$CMAKE" --build "$BUILD" --target help > "$SCRATCH/targets"
says "$SCRATCH/targets" uninstall || fail "there is no target uninstall"
