#!/usr/bin/env bash
# What a call from Java costs: one line of JSON, last. tests/bench/overhead.sh compares languages.
#
#   RELAYATTN_PREFIX  where relayattn is installed
set -euo pipefail
source "$(dirname "$0")/common.sh"

maven package -DskipTests -Dmaven.javadoc.skip -Dmaven.source.skip >&2
"$java17/bin/java" -cp "$target/relayattn-0.1.0.jar" "$here/src/bench/java/Overhead.java"
