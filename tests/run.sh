#!/usr/bin/env bash
# Everything that must hold, in one command: bash tests/run.sh
#
# Installs what is missing (Debian or Ubuntu; as root or by sudo), builds into build/, runs every test,
# and ends with the line "N passed, N failed". It can be run again at any time.
#
# A binding whose language's tools are not here is skipped and said so.
#
#   RELAYATTN_TEST_QUICK=1         leaves out sanitizers, lint and fuzzing, and shortens the bindings'
#                                  garbage collection under load
#   RELAYATTN_TEST_SCENARIOS=N     random scenarios on each instruction set (500)
#   RELAYATTN_REQUIRE_BINDINGS=1   a binding that would be skipped counts as failed
set -uo pipefail

cd "$(dirname "$0")/.." || exit 1
scenarios=${RELAYATTN_TEST_SCENARIOS:-500}
quick=${RELAYATTN_TEST_QUICK:-}
jobs=$(nproc)
logs=build/logs
passed=0
failed=0
failures=()
skipped=()
mkdir -p "$logs"

say() { printf '[%3d:%02d] %s\n' $((SECONDS / 60)) $((SECONDS % 60)) "$*"; }

count() { # count STATUS NAME
    if [ "$1" -eq 0 ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        failures+=("$2")
    fi
}

# stage NAME COMMAND...: runs quietly, counts as one test, shows the end of the log when it fails.
stage() {
    local name=$1 log="$logs/${1//[ \/]/_}.log" start=$SECONDS status=0
    shift
    say "$name"
    "$@" < /dev/null > "$log" 2>&1 || status=$?
    count $status "$name"
    if [ $status -ne 0 ]; then
        tail -n 60 "$log"
        say "FAILED: $name (status $status, log $log)"
    else
        say "  done in $((SECONDS - start)) s"
    fi
    return $status
}

# suite NAME BUILD ARGS...: ctest, each of whose tests counts as one.
suite() {
    local name=$1 build=$2 log="$logs/${1//[ \/]/_}.log" start=$SECONDS test status
    shift 2
    say "$name"
    ctest --test-dir "$build" --output-on-failure --parallel "$jobs" --no-tests=error "$@" \
        < /dev/null 2>&1 | tee "$log" |
        sed -n -e '/Test *#/p' -e '/^SKIPPED/p' -e '/^[0-9.]*% tests passed/p'
    if ! grep -q 'tests passed' "$log"; then
        tail -n 60 "$log"
        count 1 "$name"
        return
    fi
    while read -r test status; do
        count "$status" "$name: $test"
    done < <(sed -nE -e 's/.*Test +#[0-9]+: ([^ ]+) \.+ +Passed.*/\1 0/p' \
                     -e 's/.*Test +#[0-9]+: ([^ ]+) \.*\*\*\*(Skipped).*//p' \
                     -e 's/.*Test +#[0-9]+: ([^ ]+) \.*\*\*\*.*/\1 1/p' "$log" | sed '/^$/d')
    if grep -q '\*\*\*' "$log"; then
        sed -n '/Start /!p' "$log" | grep -vE '^ *[0-9]+/[0-9]+ .*Passed' | tail -n 120
    fi
    say "  done in $((SECONDS - start)) s"
}

# skip NAME REASON: counts as neither passed nor failed, unless it must not be skipped.
skip() {
    if [ -n "${RELAYATTN_REQUIRE_BINDINGS:-}" ]; then
        say "FAILED: $1 ($2)"
        count 1 "$1 ($2)"
    else
        say "SKIPPED: $1 ($2)"
        skipped+=("$1 ($2)")
    fi
}

finish() {
    for name in "${failures[@]}"; do
        echo "failed: $name"
    done
    for name in "${skipped[@]}"; do
        echo "skipped: $name"
    done
    say "end; logs in $logs"
    echo "$passed passed, $failed failed"
    [ "$failed" -eq 0 ]
    exit
}

# The NEON kernels are compiled and tested on x86-64 machines, too.
emulates_neon() { [ -z "$quick" ] && [ "$(uname -m)" = x86_64 ]; }

neon_tests() { qemu-aarch64 -L /usr/aarch64-linux-gnu build/neon/tests/cpu/cpu_tests; }

install_packages() {
    local wanted=(g++ make cmake ninja-build ccache pkg-config doctest-dev abigail-tools binutils
                  python3 python3-venv python3-numpy libopenblas-dev nlohmann-json3-dev libcli11-dev)
    [ -n "$quick" ] || wanted+=(clang-14 libclang-rt-14-dev)
    ! emulates_neon || wanted+=(g++-aarch64-linux-gnu qemu-user)
    local missing=() package
    for package in "${wanted[@]}"; do
        [[ $(dpkg-query -W -f '${Status}' "$package" 2> /dev/null) == *'ok installed' ]] ||
            missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || { echo "nothing is missing"; return 0; }
    echo "missing: ${missing[*]}"
    command -v apt-get > /dev/null || { echo "no apt-get here: install them by hand"; return 1; }
    local root=()
    [ "$(id -u)" -eq 0 ] || root=(sudo)
    "${root[@]}" apt-get update &&
        "${root[@]}" env DEBIAN_FRONTEND=noninteractive \
            apt-get install -y --no-install-recommends "${missing[@]}"
}

# configure DIR OPTIONS...
configure() {
    local dir=$1
    shift
    cmake -S . -B "build/$dir" -G Ninja -DCMAKE_BUILD_TYPE=Release "$@"
}

build() { cmake --build "build/$1" --parallel "$jobs" "${@:2}"; }

differential() { # differential BUILD ISA SCENARIOS
    local seed
    seed=$(od -An -N4 -tu4 /dev/urandom | tr -d ' ')
    say "  $2: seed $seed, $3 scenarios" >&3
    RELAYATTN_ISA=$2 "build/$1/tests/differential/relayattn_differential" \
        --scenarios "$3" --seed "$seed"
}

# The instruction sets that this machine can run, by the library's own word.
machine_isas() {
    local isa
    for isa in scalar avx2 avx512 avx512_bf16 amx neon; do
        if RELAYATTN_ISA=$isa build/test/tests/packaging/relayattn_consumer > /dev/null 2>&1; then
            echo $isa
        fi
    done
}

lint_tools() {
    [ -x build/tools/bin/python ] || python3 -m venv build/tools || return 1
    build/tools/bin/pip install --quiet clang-format==23.1.5 clang-tidy==23.1.4
}

our_sources() { # our_sources EXTENSION...
    local names=() ext
    for ext in "$@"; do
        names+=(-o -name "*.$ext")
    done
    find capi impl tests examples -type f \( "${names[@]:1}" \) -not -path '*/build/*' | sort
}

check_format() {
    our_sources h c cpp cu cuh | xargs build/tools/bin/clang-format --dry-run -Werror
}

check_tidy() {
    # The plugin's sources are not in the compile commands of a machine without CUDA.
    # Nor are those of another architecture.
    find capi impl/core impl/cpu examples/serve -name '*.cpp' -not -name 'isa_neon.cpp' | sort |
        xargs -P "$jobs" -n 4 build/tools/bin/clang-tidy -p build/test --quiet \
            --warnings-as-errors='*' --extra-arg=-Wno-unknown-warning-option
}

fuzz() {
    # New inputs go to the first folder; the committed corpus is only read.
    mkdir -p build/fuzz/found
    build/fuzz/tests/fuzz/relayattn_fuzz -max_total_time=60 -timeout=20 -rss_limit_mb=4096 \
        -print_final_stats=1 -artifact_prefix=build/fuzz/ build/fuzz/found tests/fuzz/corpus
}

# What the bindings are tested against: the library as a user has it.
install_library() {
    rm -rf build/prefix && cmake --install build/test --prefix "$PWD/build/prefix"
}

# missing_tool LANGUAGE: the first program that its binding needs and that is not here.
missing_tool() {
    local tools=("$1") tool
    [ "$1" != rust ] || tools=(cargo)
    [ "$1" != java ] || tools=(javac mvn)
    for tool in "${tools[@]}"; do
        command -v "$tool" > /dev/null || { echo "$tool"; return; }
    done
}

# All at once: each spends a minute on garbage collection under load. Leaves the names of those that
# passed in `tested`.
test_bindings() {
    local language tool pid status running=() start=$SECONDS
    say "bindings"
    for language in rust go java; do
        tool=$(missing_tool "$language")
        if [ -n "$tool" ]; then
            skip "bindings $language" "there is no $tool here"
            continue
        fi
        RELAYATTN_PREFIX=$PWD/build/prefix bash "bindings/$language/test.sh" \
            < /dev/null > "$logs/bindings_$language.log" 2>&1 &
        running+=("$language $!")
    done
    for language in "${running[@]}"; do
        read -r language pid <<< "$language"
        status=0
        wait "$pid" || status=$?
        count $status "bindings $language"
        sed 's/^/    /' "$logs/bindings_$language.log" | tail -n $((status == 0 ? 30 : 100))
        if [ $status -eq 0 ]; then
            tested+=("$language")
        else
            say "FAILED: bindings $language (status $status)"
        fi
    done
    say "  done in $((SECONDS - start)) s"
}

overhead() {
    local table
    table=$(RELAYATTN_PREFIX=$PWD/build/prefix bash tests/bench/overhead.sh "${tested[@]}") || return
    echo "$table" | tee >(cat >&3)
}

# A machine without a GPU compiles the plugin all the same; its tests then say that they skip.
cuda_toolkit() { bash cmake/cuda_toolkit.sh build/cuda-toolkit | tee build/cuda-compiler; }

exec 3>&1
say "relayattn: all tests, on $jobs cores; build directories and logs go to build/"

stage "install packages" install_packages || finish

stage "configure" configure test -DRELAYATTN_STATIC=ON -DRELAYATTN_TEST_SCENARIOS=50 || finish
stage "build" build test || finish
suite "tests" build/test

isas=$(machine_isas)
say "differential test; instruction sets of this machine: ${isas//$'\n'/ }"
[ -n "$isas" ] || count 1 "the library runs on no instruction set of this machine"
for isa in $isas; do
    stage "differential $isa" differential test "$isa" "$scenarios"
done

tested=()
if stage "install the library" install_library; then
    test_bindings
    [ ${#tested[@]} -eq 0 ] || stage "overhead of the bindings" overhead
fi

if [ -n "$quick" ]; then
    say "quick: no sanitizers, lint or fuzzing"
    finish
fi

if stage "CUDA toolkit" cuda_toolkit; then
    CUDACXX=$(cat build/cuda-compiler)
    export CUDACXX
    stage "configure CUDA" configure cuda -DRELAYATTN_CUDA=ON -DRELAYATTN_BUILD_EXAMPLES=OFF &&
        stage "build CUDA" build cuda --target relayattn_cuda relayattn_cuda_test relayattn_cuda_host_test &&
        suite "tests CUDA" build/cuda --tests-regex relayattn_cuda
fi

if emulates_neon; then
    stage "configure NEON" configure neon -DCMAKE_SYSTEM_NAME=Linux \
        -DCMAKE_SYSTEM_PROCESSOR=aarch64 -DCMAKE_C_COMPILER=aarch64-linux-gnu-gcc \
        -DCMAKE_CXX_COMPILER=aarch64-linux-gnu-g++ -DRELAYATTN_CUDA=OFF \
        -DRELAYATTN_BUILD_EXAMPLES=OFF &&
        stage "build NEON" build neon --target cpu_tests &&
        stage "tests NEON, emulated" neon_tests
fi

for sanitizer in address,undefined thread; do
    dir=${sanitizer%%,*}
    stage "configure $dir sanitizer" configure "$dir" -DRELAYATTN_SANITIZE=$sanitizer \
        -DRELAYATTN_CUDA=OFF -DRELAYATTN_BUILD_EXAMPLES=OFF -DRELAYATTN_TEST_SCENARIOS=20 &&
        stage "build $dir sanitizer" build "$dir" &&
        suite "tests $dir sanitizer" "build/$dir"
done

if stage "lint tools" lint_tools; then
    stage "clang-format" check_format
    stage "clang-tidy" check_tidy
fi

stage "configure fuzzing" configure fuzz -DCMAKE_C_COMPILER=clang-14 \
    -DCMAKE_CXX_COMPILER=clang++-14 -DRELAYATTN_CUDA=OFF -DRELAYATTN_BUILD_EXAMPLES=OFF \
    -DRELAYATTN_SANITIZE=fuzzer-no-link,address,undefined &&
    stage "build fuzzing" build fuzz --target relayattn_fuzz &&
    stage "fuzz 60 s" fuzz

finish
