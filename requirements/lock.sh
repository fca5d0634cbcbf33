#!/bin/sh
# Resolves pyproject.toml into the lock files: pins and hashes for every platform, no index, no host. $1: the virtual
# environment that has uv; $2: empty, or --upgrade. dev.lock is the widest set; the others are cut from it.
set -eu
cd "$(dirname "$0")/.."
compile() { # OUTPUT ARGUMENTS...
  output=requirements/$1
  shift
  "$venv/bin/uv" --no-config pip compile --quiet --universal --python-version 3.11 --generate-hashes \
    --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" $upgrade -o "$output" "$@"
}
venv=$1
upgrade=${2:-}
compile llama-cpp.lock requirements/llama-cpp.in --no-deps
compile image.lock requirements/image.in
compile older.lock requirements/older.in
compile llm.lock requirements/llm.in
compile litellm.lock requirements/litellm.in
compile dev.lock pyproject.toml --extra mlx --extra llama-cpp --group build --group dev \
  --constraint requirements/llama-cpp.lock --no-emit-package llama-cpp-python
upgrade=""
compile demo.lock pyproject.toml --extra mlx --group build --constraint requirements/dev.lock
compile run.lock pyproject.toml --group build --constraint requirements/dev.lock
