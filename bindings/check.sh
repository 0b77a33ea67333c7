# For a language's test.sh, which sets `language` and the folder `logs`, and ends with `failed`.
failed=0

# check NAME COMMAND...: runs quietly, and shows the end of the log if it fails.
check() {
    local name=$1 log="$logs/${1// /_}.log" start=$SECONDS status=0
    shift
    "$@" < /dev/null > "$log" 2>&1 || status=$?
    if [ $status -eq 0 ]; then
        echo "$language: $name: passed in $((SECONDS - start)) s"
    else
        tail -n 40 "$log"
        echo "$language: $name: FAILED (status $status, log $log)"
        failed=1
    fi
}
