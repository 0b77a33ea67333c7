#!/usr/bin/env bash
# Builds and tests the Java binding with JDK 17, then tests it with JDK 25 where that is found.
#
#   RELAYATTN_PREFIX           where relayattn is installed
#   RELAYATTN_TEST_QUICK       shortens the minute of garbage collection under load to 5 seconds
#   JAVA17_HOME, JAVA25_HOME   JDKs, if they are not in /usr/lib/jvm
#
# Everything that is made is below build/bindings/java.
set -euo pipefail
source "$(dirname "$0")/common.sh"

jar=$target/relayattn-0.1.0.jar
example=$root/examples/java/HelloServer.java
log=$build/test.log

# try WHAT COMMAND...: runs it into the log, and shows that when it fails.
try() {
    local what=$1 start=$SECONDS status
    shift
    set +e # in a condition, bash would go on after a failure inside of it
    (set -e; "$@") > "$log" 2>&1
    status=$?
    set -e
    if [ $status -ne 0 ]; then
        tail -n 60 "$log"
        echo "java: FAILED: $what (whole log: $log)"
        exit 1
    fi
    echo "java: $what: passed ($((SECONDS - start)) s)"
}

count_tests() {
    sed -n 's/^Tests run: \([0-9]*\),.*/\1/p' "$target"/surefire-reports/*.txt |
        awk '{ sum += $1 } END { print "java:   " sum " tests" }'
}

packages() {
    local name
    rm -f "$target"/*.jar
    maven verify
    for name in "" -sources -javadoc; do
        test -s "$target/relayattn-0.1.0$name.jar"
    done
}

# The JVM's own checks of JNI calls only warn, so their warnings are looked for.
checked_jni() {
    RELAYATTN_TEST_QUICK=1 maven surefire:test "-Djvm=$1/bin/java" \
        "-Drelayattn.test.jvm.args=-Xcheck:jni -Dsun.stdout.encoding=UTF-8"
    cat "$log" "$target"/surefire-reports/* > "$build/jni.log"
    ! grep -m 5 -nE 'WARNING in native|FATAL ERROR in native|WARNING: JNI' "$build/jni.log"
}

# The README's example, as a file.
sed -n '/^```java/,/^```/{/^```/d;p}' "$here/README.md" > "$build/Hello.java"

# As a user has it: the jar alone, on the class path, as a module, and the library in the prefix.
hello() {
    local java=$1/bin/java access=$2
    "$java" $access -cp "$jar" "$example"
    "$java" $access -p "$jar" --add-modules relayattn "$example"
    test "$("$java" $access -cp "$jar" "$build/Hello.java")" = "33.000 31.000"
    JAVA_HOME=$java17 cmake --install "$build/native" --prefix "$build/prefix"
    cp -P "$prefix"/lib*/librelayattn.so* "$build"/prefix/lib*/
    "$java" $access "-Drelayattn.library.path=$(echo "$build"/prefix/lib*)" -cp "$jar" "$example"
}

rm -rf "$target/surefire-reports"
try "build and tests, JDK 17" packages
count_tests
try "example, JDK 17" hello "$java17" ""
if [ -n "$java25" ]; then
    try "tests with -Xcheck:jni, JDK 25" checked_jni "$java25"
    count_tests
    try "example, JDK 25" hello "$java25" --enable-native-access=ALL-UNNAMED
else
    try "tests with -Xcheck:jni, JDK 17" checked_jni "$java17"
    echo "java: no JDK 25 found: not tested with it"
fi
