# The library exports what the version script lists, under its SONAME, and nothing else.
. "$(dirname "$0")/common.sh"

lib=$(lib_dir "$PREFIX")/librelayattn.so
map=$SOURCE/capi/relayattn.map
cd "$SCRATCH"

grep -oE '^ +ra_[a-z0-9_]+;' "$map" | tr -d ' ;' | sort > listed
grep -oE '\bra_[a-z0-9_]+\(' "$PREFIX/include/relayattn/relayattn.h" | tr -d '(' | sort -u > called
# A declaration starts a line with its type; the manual's prose and program may name functions too.
grep -E '^[a-z].*\bra_[a-z0-9_]+\(' "$PREFIX/include/relayattn/relayattn.h" | grep -v '^typedef' |
    grep -oE '\bra_[a-z0-9_]+\(' | tr -d '(' | sort -u > declared
nm -D --defined-only "$lib" | awk '$2 != "A" { print $3 }' | sort > exported_versioned
sed 's/@@.*//' exported_versioned > exported

[ -s listed ] || fail "no function found in $map"
diff listed exported || fail "< is in the version script, > is exported by $lib"
diff declared listed || fail "< is declared by the header, > is in the version script"
comm -23 called listed > unknown
[ ! -s unknown ] || fail "the header speaks of functions that do not exist: $(tr '\n' ' ' < unknown)"
if grep -v '@@RELAYATTN_0\.[0-9]*$' exported_versioned; then
    fail "these symbols carry no RELAYATTN_0.x version"
fi

readelf -dW "$lib" > dynamic
grep -q 'SONAME.*\[librelayattn\.so\.0\]' dynamic || fail "SONAME: $(grep SONAME dynamic)"
[ "$(readlink -f "$lib")" != "$lib" ] || fail "$lib is not a link to a versioned file"

# Only what every Linux machine has: the C and C++ runtimes.
allowed='lib(c|m|dl|pthread|gcc_s|stdc\+\+|atomic)\.so|ld-linux'
if grep NEEDED dynamic | grep -vE "\[($allowed)"; then
    fail "the library needs more than the C and C++ runtimes"
fi
! grep -q TEXTREL dynamic || fail "the library has text relocations"
readelf -lW "$lib" > segments
says segments 'GNU_STACK.* RW ' || fail "the library asks for an executable stack"
echo "$(wc -l < exported) functions exported, all listed; SONAME librelayattn.so.0"
