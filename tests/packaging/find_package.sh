# A CMake project finds the installed package, shared and (where it was built) static.
. "$(dirname "$0")/common.sh"

"$CMAKE" -S "$SOURCE/tests/packaging/consumers/find_package" -B "$SCRATCH/build" \
    -DCMAKE_PREFIX_PATH="$PREFIX" -DCMAKE_C_COMPILER="$CC" -DCMAKE_CXX_COMPILER="$CXX" \
    -DCONSUME_STATIC="$STATIC"
"$CMAKE" --build "$SCRATCH/build"
"$SCRATCH/build/consumer"
if [ "$STATIC" = ON ]; then
    "$SCRATCH/build/consumer_static"
    if readelf -d "$SCRATCH/build/consumer_static" | grep librelayattn; then
        fail "the static consumer still needs the shared library"
    fi
fi
