# The C program in README.md compiles and runs.
. "$(dirname "$0")/common.sh"
cd "$SCRATCH"

awk '/^```$/ && inside { exit } inside { print } /^```c$/ { inside = 1 }' "$SOURCE/README.md" > program.c
grep -q 'int main' program.c || fail "README.md holds no complete C program"

PKG_CONFIG_PATH=$(pc_dir "$PREFIX")
export PKG_CONFIG_PATH
# shellcheck disable=SC2046 # flags are words
"$CC" "${strict_c[@]}" program.c $(pkg-config --cflags --libs relayattn) -o program
LD_LIBRARY_PATH=$(lib_dir "$PREFIX") ./program
