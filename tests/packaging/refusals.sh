# What cannot work stops at configure time with a sentence that says why.
. "$(dirname "$0")/common.sh"
cd "$SCRATCH"

# refused WORDS FLAGS...: configuring with these flags fails and prints WORDS.
refused() {
    local words=$1
    shift
    if "$CMAKE" -S "$SOURCE" -B build -DCMAKE_C_COMPILER="$CC" -DCMAKE_CXX_COMPILER="$CXX" "$@" \
        > log 2>&1; then
        fail "accepted: $*"
    fi
    # CMake wraps a message as it likes.
    tr -s ' \n' ' ' < log > one_line
    grep -qF "$words" one_line || { cat log; fail "\"$words\" was not said for: $*"; }
    rm -rf build
}

refused 'RELAYATTN_CUDA is "MAYBE"; it must be AUTO, ON or OFF.' -DRELAYATTN_CUDA=MAYBE
refused 'RELAYATTN_SANITIZE is "memory"; it must be' -DRELAYATTN_SANITIZE=memory
refused 'relayattn supports 64-bit x86-64 and AArch64; this build is for riscv64' \
    -DCMAKE_SYSTEM_NAME=Linux -DCMAKE_SYSTEM_PROCESSOR=riscv64
refused 'relayattn supports Linux; this build is for FreeBSD.' -DCMAKE_SYSTEM_NAME=FreeBSD
if ! command -v nvcc > /dev/null && [ -z "${CUDACXX:-}" ] && [ ! -e /usr/local/cuda ]; then
    refused 'RELAYATTN_CUDA=ON, but no CUDA compiler' -DRELAYATTN_CUDA=ON
fi
