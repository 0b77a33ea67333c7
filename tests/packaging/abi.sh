# The ABI is that of the committed baseline. A wanted change: run update_abi_baseline.sh, commit the
# new baseline with it, and name the change in CHANGELOG.md.
. "$(dirname "$0")/common.sh"
need_tool abidiff

case $PROCESSOR in
x86_64 | amd64 | AMD64) ;;
*) skip "the baseline is of x86-64; this is $PROCESSOR" ;;
esac
lib=$(readlink -f "$(lib_dir "$PREFIX")/librelayattn.so")
readelf -SW "$lib" > "$SCRATCH/sections"
says "$SCRATCH/sections" '\.debug_info' || fail "$lib has no debug information of its API"

status=0
abidiff --exported-interfaces-only "$SOURCE/tests/packaging/abi-baseline.abi" "$lib" || status=$?
[ $status -eq 0 ] || fail "abidiff ended with $status: the ABI is not that of the baseline"
echo "same ABI as the baseline"
