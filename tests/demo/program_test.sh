#!/usr/bin/env bash
# program_test.sh PROGRAM MODEL: the demo as a user calls it, on the committed model.
set -euo pipefail
program=$1 model=$2
prompts=$(dirname "$model")/prompts
out=$(mktemp)
trap 'rm -f "$out"' EXIT

fail() { echo "FAILED: $*"; cat "$out"; exit 1; }
expect() { grep -qE -- "$1" "$out" || fail "the output has no \"$1\""; }

"$program" --help > "$out"
expect '--max-concurrent N'

common=(--model "$model" --system "$prompts/system.txt" --child "$prompts/child.txt"
        --requests "$prompts/requests.jsonl" --threads 2)
"$program" "${common[@]}" > "$out" 2>&1 || fail "the demo"
expect '^relay +.* [0-9]+/[0-9]+$'
expect '^flat +.* identical +[0-9]+/[0-9]+$'
expect '^own copy +.* identical +[0-9]+/[0-9]+$'
right=$(sed -nE 's/^score: ([0-9]+) of [0-9]+ answers right.*/\1/p' "$out")
asked=$(sed -nE 's/^score: [0-9]+ of ([0-9]+) answers right.*/\1/p' "$out")
[ $((100 * right)) -ge $((95 * asked)) ] && [ "$asked" -ge 100 ] || fail "the score"
smaller=$(sed -nE 's/^relay against own copy: .* KV memory ([0-9]+)\.[0-9]+x smaller$/\1/p' "$out")
[ "$smaller" -ge 10 ] || fail "KV memory is ${smaller}x smaller than own copies, not 10x"

for dtype in f16 bf16; do
    "$program" "${common[@]}" --mode auto --kv-dtype $dtype --page-size 32 --quiet > "$out" 2>&1 ||
        fail "$dtype"
    expect "^score: "
done

if "$program" --model "$model" --system "$prompts/none.txt" --requests "$prompts/requests.jsonl" \
    > "$out" 2>&1; then
    fail "a missing file is accepted"
fi
expect 'cannot open .*none.txt'
if "$program" --model "$model" --system "$prompts/system.txt" \
    --requests "$prompts/requests.jsonl" > "$out" 2>&1; then
    fail "a missing child prompt is accepted"
fi
expect '--child FILE is missing or empty'
echo "passed"
