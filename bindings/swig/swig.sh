#!/usr/bin/env bash
# Runs the one SWIG that this project's wrappers are made with, so that they are the same everywhere:
#
#     bash bindings/swig/swig.sh FOLDER ARGUMENTS...
#
# SWIG is installed into FOLDER/swig-<version> if it is not there yet: its Python package, by pip.
# Relative names in ARGUMENTS are from the current folder.
set -euo pipefail
version=4.5.1

[ $# -ge 1 ] || { echo "usage: swig.sh FOLDER ARGUMENTS..." >&2; exit 2; }
venv=$1/swig-$version
shift

if [ ! -x "$venv/bin/swig" ]; then
    # Made beside its place and moved there, so that runs at the same time do not meet half of one.
    mkdir -p "$(dirname "$venv")"
    fresh=$(mktemp -d "$venv.XXXXXX")
    trap 'rm -rf "$fresh"' EXIT
    python3 -m venv "$fresh" >&2
    "$fresh/bin/python" -m pip install --quiet --disable-pip-version-check "swig==$version" >&2
    mv -T "$fresh" "$venv" 2> /dev/null || rm -rf "$fresh"
fi
# Through python, as a moved environment's own scripts name its former place.
exec "$venv/bin/python" -c 'import swig, sys; sys.exit(swig.swig())' "$@"
