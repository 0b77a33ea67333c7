# example.sh FILE: an example is built from the installed prefix as its first lines say, and runs.
. "$(dirname "$0")/common.sh"
cd "$SCRATCH"

source=$SOURCE/examples/$1
lib=$(lib_dir "$PREFIX")
PKG_CONFIG_PATH=$(pc_dir "$PREFIX")
export PKG_CONFIG_PATH

lines=$(wc -l < "$source")
[ "$lines" -lt 120 ] || fail "$1 has $lines lines; an example has fewer than 120"

case $1 in
*dlopen.c)
    # shellcheck disable=SC2046 # flags are words
    "$CC" "${strict_c[@]}" -O1 "$source" $(pkg-config --cflags relayattn) -ldl -lm -o example
    if readelf -d example | grep librelayattn; then
        fail "$1 is linked to the library"
    fi
    ./example "$lib/librelayattn.so.0"
    if ./example ./no_such_library.so; then
        fail "$1 did not notice that there is no library"
    fi
    ;;
*.c)
    # shellcheck disable=SC2046
    "$CC" "${strict_c[@]}" -O1 "$source" $(pkg-config --cflags --libs relayattn) -lm -o example
    LD_LIBRARY_PATH=$lib ./example
    ;;
*.py)
    for python in "${PYTHON:-python3}" /usr/bin/python3; do
        if "$python" -c 'import numpy' 2> /dev/null; then
            "$python" "$source" "$lib/librelayattn.so.0"
            exit
        fi
    done
    [ -z "${CI:-}" ] || fail "python3 with numpy is missing; CI must have it"
    skip "no python3 with numpy"
    ;;
esac
