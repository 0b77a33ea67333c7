# The header compiles alone, twice included, as C and C++ of several years, without a warning.
. "$(dirname "$0")/common.sh"
cd "$SCRATCH"

printf '#include <relayattn/relayattn.h>\n#include <relayattn/relayattn.h>\nint ra_test_unit;\n' > unit.c
cp unit.c unit.cpp
for std in c99 c11 c17; do
    "$CC" "${strict_c[@]}" -std=$std -I "$PREFIX/include" -c unit.c -o unit.o || fail "as $std"
done
for std in c++11 c++17 c++20; do
    "$CXX" "${strict_cxx[@]}" -std=$std -I "$PREFIX/include" -c unit.cpp -o unit.o || fail "as $std"
done

# It is not for 32 bits, and says so.
if "$CC" -m32 -I "$PREFIX/include" -c unit.c -o unit.o 2> m32.log; then
    fail "the header accepted 32-bit pointers"
fi
grep -Eq '64-bit pointers|No such file|not supported|unrecognized' m32.log || fail "$(cat m32.log)"
