#!/usr/bin/env bash
# Everything that must hold for the Go package:
#
#     RELAYATTN_PREFIX=/usr/local bash bindings/go/test.sh
#
# RELAYATTN_PREFIX is where the library is installed. Output goes to build/bindings/go.
# RELAYATTN_TEST_QUICK=1 shortens garbage collection under load from 60 s to 5 s.
set -uo pipefail

prefix=$(cd "${RELAYATTN_PREFIX:?is not set}" && pwd) || exit 1
root=$(cd "$(dirname "$0")/../.." && pwd)
package=$root/bindings/go
example=$root/examples/go
out=$root/build/bindings/go
export PKG_CONFIG_PATH=$prefix/lib/pkgconfig LD_LIBRARY_PATH=$prefix/lib RELAYATTN_PREFIX=$prefix
mkdir -p "$out"
cd "$package" || exit 1
language=go logs=$out
. ../check.sh

formatted() {
    local files
    files=$(gofmt -l "$package" "$example" | grep -v '/capi/capi\.go$')
    [ -z "$files" ] || { echo "not as gofmt would have it: $files"; return 1; }
}

regenerated() {
    rm -rf "$out/capi"
    bash generate.sh "$out/capi" &&
        diff -u internal/capi/capi.go "$out/capi/capi.go" &&
        diff -u internal/capi/capi_wrap.c "$out/capi/capi_wrap.c"
}

vetted() {
    local module
    for module in "$package" "$example"; do
        go -C "$module" vet ./... && go -C "$module" mod tidy -diff || return 1
    done
}

scenario_is_there() { [ -s "$root/tests/bindings/scenario.json" ]; }

# The README's program in a module of its own, made as the README says.
run_readme_program() ( # in a shell of its own, for cd
    local program=$out/readme
    rm -rf "$program" && mkdir -p "$program" &&
        sed -n '/^```go$/,/^```$/p' README.md | sed '1d;$d' > "$program/main.go" &&
        cd "$program" && go mod init readme &&
        go mod edit -require=relayattn@v0.1.0 -replace=relayattn="$package" &&
        go run . | tee output && grep -qx '1 2 <nil>' output
)

run_example() { go -C "$example" build -o "$out/hello" . && "$out/hello"; }

echo "go: $(go version)"
check "scenario is there" scenario_is_there
check "gofmt" formatted
check "generated files" regenerated
check "vet" vetted

# Garbage collection under load takes a minute, beside everything else.
if go test -c -o "$out/relayattn.test" . > "$out/build.log" 2>&1; then
    (check "garbage collection under load" "$out/relayattn.test" -test.run GarbageCollection; exit $failed) &
    load=$!
else
    cat "$out/build.log"
    failed=1
fi
check "tests" go test -count=1 -short ./...
check "tests with the race detector" env RELAYATTN_TEST_QUICK=1 go test -count=1 -race ./...
check "tests with cgocheck2" env GOEXPERIMENT=cgocheck2 go test -count=1 -short ./...
check "example" run_example
check "program of the README" run_readme_program
check "overhead program" go run ./cmd/overhead
[ -z "${load:-}" ] || wait "$load" || failed=1
exit $failed
