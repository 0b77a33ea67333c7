# A CMake project includes the sources and sees the library alone.
. "$(dirname "$0")/common.sh"

"$CMAKE" -S "$SOURCE/tests/packaging/consumers/add_subdirectory" -B "$SCRATCH/build" \
    -DRELAYATTN_SOURCE="$SOURCE" -DCMAKE_C_COMPILER="$CC" -DCMAKE_CXX_COMPILER="$CXX" \
    -DCMAKE_CXX_COMPILER_LAUNCHER="$LAUNCHER" -DCMAKE_BUILD_TYPE=Release -DRELAYATTN_CUDA=OFF
"$CMAKE" --build "$SCRATCH/build" --parallel "$(nproc)"
"$SCRATCH/build/consumer"
