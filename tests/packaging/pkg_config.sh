# pkg_config.sh shared|static: a C program is built by the flags of relayattn.pc alone.
. "$(dirname "$0")/common.sh"
cd "$SCRATCH"
need_tool pkg-config

kind=$1
PKG_CONFIG_PATH=$(pc_dir "$PREFIX")
export PKG_CONFIG_PATH
lib=$(lib_dir "$PREFIX")
pkg-config --print-errors --exact-version "$(sed -n 's/^Version: //p' "$PKG_CONFIG_PATH/relayattn.pc")" relayattn
"$CC" "${strict_c[@]}" $(pkg-config --cflags relayattn) -c "$SOURCE/tests/packaging/consumers/consumer.c"

case $kind in
shared)
    # shellcheck disable=SC2046 # flags are words
    "$CC" consumer.o $(pkg-config --libs relayattn) -o consumer
    readelf -d consumer > dynamic
    says dynamic 'librelayattn\.so\.0' || fail "the consumer does not need the library"
    ;;
static)
    [ "$STATIC" = ON ] || skip "built without RELAYATTN_STATIC"
    # A directory with the archive alone makes -lrelayattn mean it.
    mkdir only_archive
    ln -s "$lib/librelayattn.a" only_archive/
    # shellcheck disable=SC2046
    "$CC" consumer.o -L only_archive $(pkg-config --static --libs relayattn) -o consumer
    if readelf -d consumer | grep librelayattn; then
        fail "the static consumer still needs the shared library"
    fi
    ;;
*) fail "shared or static, not \"$kind\"" ;;
esac
LD_LIBRARY_PATH=$lib ./consumer
