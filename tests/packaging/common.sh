# Sourced by every packaging test. ctest sets SOURCE, BUILD, PREFIX, SCRATCH, CMAKE, CC, CXX,
# LAUNCHER, STATIC and PROCESSOR; each script starts with an empty $SCRATCH.
set -euo pipefail

fail() {
    echo "FAILED: $*"
    exit 1
}

skip() {
    echo "SKIPPED: $*"
    exit 77
}

# A tool that a developer may lack, but CI may not.
need_tool() {
    command -v "$1" > /dev/null && return
    [ -z "${CI:-}" ] || fail "$1 is missing; CI must have it"
    skip "$1 is not installed"
}

# says FILE PATTERN. Under pipefail, "command | grep -q" fails when grep has read enough and the
# command has not finished writing, so output is kept in a file first.
says() { grep -qE -- "$2" "$1"; }

strict_c=(-std=c99 -Wall -Wextra -Wpedantic -Wconversion -Werror)
strict_cxx=(-std=c++11 -Wall -Wextra -Wpedantic -Wconversion -Werror)

# Where the .pc file and the library of a prefix lie, whatever the platform calls its libdir.
pc_dir() { dirname "$(find "$1" -name relayattn.pc)"; }
lib_dir() { dirname "$(find "$1" -name librelayattn.so)"; }

# install_to DIR: as a user would, keeping this build directory's own record of installs.
install_to() {
    local manifest=$BUILD/install_manifest.txt
    [ ! -e "$manifest" ] || cp "$manifest" "$SCRATCH/manifest.before"
    "$CMAKE" --install "$BUILD" --prefix "$1" > "$SCRATCH/install.log" || {
        cat "$SCRATCH/install.log"
        fail "cmake --install"
    }
    cp "$manifest" "$SCRATCH/manifest.ours"
    if [ -e "$SCRATCH/manifest.before" ]; then
        mv "$SCRATCH/manifest.before" "$manifest"
    else
        rm "$manifest"
    fi
}

rm -rf "$SCRATCH"
mkdir -p "$SCRATCH"
