#!/usr/bin/env bash
# Finds a CUDA compiler, or installs one as Python packages: prints the path of nvcc.
#
#   export CUDACXX=$(bash cmake/cuda_toolkit.sh build/cuda-toolkit)
#   cmake -B build -DRELAYATTN_CUDA=ON
#
# CUDACXX, then nvcc in PATH, then /usr/local/cuda come first. What is installed goes into a
# virtual environment in the given folder, builds without a GPU, and is taken again the next time.
set -euo pipefail

folder=${1:?usage: cuda_toolkit.sh FOLDER}

for nvcc in "${CUDACXX:-}" "$(command -v nvcc || true)" /usr/local/cuda/bin/nvcc; do
    if [ -n "$nvcc" ] && [ -x "$nvcc" ]; then
        echo "$nvcc"
        exit
    fi
done

if [ ! -e "$folder/ready" ]; then
    python3 -m venv "$folder"
    "$folder/bin/pip" install --quiet "cuda-toolkit[nvcc,cudart,cccl,crt,nvvm]==13.0.*" >&2
    toolkit=$(dirname "$(dirname "$(find "$folder" -path '*/nvidia/*/bin/nvcc' -print -quit)")")
    # Builds look into lib64, and for libraries without a version in their names.
    [ -e "$toolkit/lib64" ] || ln -s lib "$toolkit/lib64"
    for library in "$toolkit"/lib/lib*.so.*; do
        plain=${library%%.so.*}.so
        [ -e "$plain" ] || ln -s "$(basename "$library")" "$plain"
    done
    echo "$toolkit" > "$folder/ready"
fi
realpath "$(cat "$folder/ready")/bin/nvcc"
