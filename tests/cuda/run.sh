#!/usr/bin/env bash
# Builds the CUDA backend for this machine's GPU and tests it: bash tests/cuda/run.sh [OPTION...]
#
#   --parts LIST   of build, unit, api, differential, bench, memcheck, racecheck, synccheck
#                  (default: all)
#   --build DIR    build folder (default: build/cuda)
#   --arch LIST    CUDA architectures, such as "80;90" (default: this machine's GPU)
#   --scenarios N  random scenarios of the differential test (default: 300)
#   --kernels LIST kernel families: all (as the library chooses), sm80, general (default: all three)
#   --filter TEXT  only these test cases of the unit part (doctest's --test-case)
#
# Needs nvcc (in PATH, or CUDACXX), CMake, ninja and the doctest header; nothing from the network.
# DOCTEST_INCLUDE_DIR names a folder with doctest/doctest.h where doctest is not installed. The part
# bench also needs what relayattn-bench needs, and is skipped without it.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1

parts=build,unit,api,differential,bench,memcheck,racecheck,synccheck
build=build/cuda
arch=
scenarios=300
families="all sm80 general"
filter=
while [ $# -gt 0 ]; do
    [ $# -gt 1 ] || { echo "$1 needs a value"; exit 2; }
    case $1 in
        --parts) parts=$2 ;;
        --build) build=$2 ;;
        --arch) arch=$2 ;;
        --scenarios) scenarios=$2 ;;
        --kernels) families=${2//,/ } ;;
        --filter) filter=$2 ;;
        *) echo "unknown option $1"; exit 2 ;;
    esac
    shift 2
done

build=$(realpath -m "$build")
# The public API's own tests, which run on any backend.
api_tests=(relayattn_capi_test relayattn_faults_test relayattn_core_test relayattn_attention_test
           relayattn_properties_test)

passed=()
failed=()
skipped=()

wants() { [[ ,$parts, == *,$1,* ]]; }

# part NAME COMMAND...: status 77 means skipped.
part() {
    local name=$1 start=$SECONDS status=0
    shift
    echo "== $name"
    "$@" || status=$?
    case $status in
        0) passed+=("$name") ;;
        77) skipped+=("$name") ;;
        *) failed+=("$name") ;;
    esac
    echo "== $name: status $status, $((SECONDS - start)) s"
    return $status
}

summary() {
    echo "== summary"
    printf 'passed: %s\n' "${passed[@]}"
    printf 'skipped: %s\n' "${skipped[@]}"
    printf 'failed: %s\n' "${failed[@]}"
    echo "${#passed[@]} passed, ${#skipped[@]} skipped, ${#failed[@]} failed"
    [ ${#failed[@]} -eq 0 ]
    exit
}

gpu_arch() { nvidia-smi --query-gpu=compute_cap --format=csv,noheader | head -n 1 | tr -d .; }

# A CMake package for a doctest that is only a header.
doctest_package() {
    local dir=$build/doctest
    mkdir -p "$dir"
    cat > "$dir/doctestConfig.cmake" << END
if(TARGET doctest::doctest)
    return()
endif()
add_library(doctest::doctest INTERFACE IMPORTED)
set_target_properties(doctest::doctest PROPERTIES
    INTERFACE_INCLUDE_DIRECTORIES "$(realpath "$DOCTEST_INCLUDE_DIR")")
END
    cat > "$dir/doctestConfigVersion.cmake" << END
set(PACKAGE_VERSION 2.4.9)
set(PACKAGE_VERSION_COMPATIBLE TRUE)
END
    echo "-Ddoctest_DIR=$(realpath "$dir")"
}

build() {
    local options=(-DCMAKE_BUILD_TYPE=Release -DRELAYATTN_CUDA=ON -DRELAYATTN_BUILD_EXAMPLES=OFF
                   -DRELAYATTN_WERROR=OFF
                   "-DRELAYATTN_CUDA_ARCHITECTURES=${arch:-$(gpu_arch)}")
    [ -z "${DOCTEST_INCLUDE_DIR:-}" ] || options+=("$(doctest_package)")
    local targets=(relayattn relayattn_cuda relayattn_cuda_test relayattn_differential
                   "${api_tests[@]}")
    cmake -S . -B "$build" -G Ninja "${options[@]}" || return
    if cmake --build "$build" --target help | grep -q '^relayattn-bench:'; then
        targets+=(relayattn-bench)
    fi
    cmake --build "$build" --target "${targets[@]}"
}

# The capture comes first and alone: in a new process no kernel has been loaded before it.
unit() {
    local program=$build/tests/cuda/relayattn_cuda_test
    if [ -n "$filter" ]; then
        "$program" --test-case="$filter"
    else
        "$program" --test-case="a captured graph*" && "$program"
    fi
}

api() {
    local status=0 test
    for test in "${api_tests[@]}"; do
        echo "-- $test"
        "$(find "$build/tests" -type f -name "$test" -print -quit)" --backend cuda || status=1
    done
    return $status
}

differential() {
    "$build/tests/differential/relayattn_differential" --backend cuda --scenarios "$scenarios"
}

# Graphs or not, cold or warm, every mode, and --calibrate.
bench() {
    local program=$build/tests/bench/relayattn-bench
    [ -x "$program" ] || { echo "relayattn-bench was not built"; return 77; }
    python3 tests/bench/smoke_test.py "$program" cuda
}

# Few and small cases of every kind of kernel: a sanitizer slows them a hundredfold.
sanitize() {
    command -v compute-sanitizer > /dev/null || { echo "no compute-sanitizer here"; return 77; }
    RELAYATTN_CUDA_TRIALS=6 compute-sanitizer --tool "$1" --error-exitcode 1 "${@:2}" \
        "$build/tests/cuda/relayattn_cuda_test" --test-case="windows*,every mix*,*negative slots*,\
*padded rows*,copies read*,merging*,*bitwise equal*"
}

if wants build; then
    part build build || summary
fi
RELAYATTN_PLUGIN_PATH=$(find "$build" -name librelayattn-cuda.so -print -quit)
export RELAYATTN_PLUGIN_PATH
# Each kernel family is judged alone: an error of one would be reported for those after it.
for kernels in $families; do
    export RELAYATTN_CUDA_KERNELS=${kernels#all}
    wants unit && part "unit $kernels" unit
    wants api && part "api $kernels" api
    wants differential && part "differential $kernels" differential
    wants bench && part "bench $kernels" bench
done
for kernels in $families; do
    export RELAYATTN_CUDA_KERNELS=${kernels#all}
    wants memcheck && part "memcheck $kernels" sanitize memcheck --leak-check full
    wants racecheck && part "racecheck $kernels" sanitize racecheck
    wants synccheck && part "synccheck $kernels" sanitize synccheck
done
summary
