# For the scripts beside this one: where things are, and Maven with them.

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
build=$root/build/bindings/java
target=$build/target
: "${RELAYATTN_PREFIX:?the folder that relayattn is installed in}"
prefix=$(cd "$RELAYATTN_PREFIX" && pwd)

# jdk VERSION: the home of a JDK of that version, or nothing.
jdk() {
    local home
    for home in ${JAVA_HOME:+"$JAVA_HOME"} /usr/lib/jvm/*; do
        if [[ -x $home/bin/javac && $("$home/bin/javac" -version 2>&1) =~ ^javac\ $1($|\.) ]]; then
            echo "$home"
            return
        fi
    done
}

java17=${JAVA17_HOME:-$(jdk 17)}
java25=${JAVA25_HOME:-$(jdk 25)}
[ -n "$java17" ] || { echo "no JDK 17 found: set JAVA17_HOME" >&2; exit 1; }
mkdir -p "$build"

maven() {
    JAVA_HOME=$java17 mvn --batch-mode --quiet --file "$here/pom.xml" \
        "-Drelayattn.prefix=$prefix" "-Drelayattn.build=$build" "$@"
}
