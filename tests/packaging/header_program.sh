# The program in the header's introduction, between @code and @endcode, compiles and runs.
. "$(dirname "$0")/common.sh"
cd "$SCRATCH"

awk '/^ \* @endcode/ { exit } inside { sub(/^ \* ?/, ""); print } /^ \* @code/ { inside = 1 }' \
    "$PREFIX/include/relayattn/relayattn.h" > program.c
grep -q 'int main' program.c || fail "no complete program between @code and @endcode"

PKG_CONFIG_PATH=$(pc_dir "$PREFIX")
export PKG_CONFIG_PATH
# shellcheck disable=SC2046 # flags are words
"$CC" "${strict_c[@]}" program.c $(pkg-config --cflags --libs relayattn) -lm -o program
LD_LIBRARY_PATH=$(lib_dir "$PREFIX") ./program
