#!/bin/sh
# Builds llama-cpp-python from its hash-pinned sdist (there are no wheels), with llama.cpp's own llama-server (which has its
# place in llama_cpp/bin), and installs both into the virtual environment given as $1. The wheel is kept in .cache/ under a name made of everything it depends on, so it is built once.
set -eu
cd "$(dirname "$0")/.."
python=$1/bin/python
folder=$PWD/requirements

# Portable, not the fastest: the tests serve a model of a few hundred KB. -O1 halves the time of the compiler.
flags="-DCMAKE_CXX_FLAGS_RELEASE='-O1 -DNDEBUG' -DLLAVA_BUILD=OFF -DGGML_NATIVE=OFF -DGGML_OPENMP=OFF -DGGML_BLAS=OFF \
-DGGML_METAL=OFF -DCMAKE_PROJECT_llama.cpp_INCLUDE='$folder/llama-cpp.cmake' \
-DCMAKE_PROJECT_ggml_INCLUDE='$folder/llama-cpp.cmake'"

key=$({ cat requirements/llama-cpp.* requirements/llama-server.cmake; uname -sm; } | "$python" -c \
  'import hashlib, sys; print(hashlib.sha256(sys.stdin.buffer.read()).hexdigest()[:16])')
wheels=.cache/llama-cpp/$key

if [ ! -d "$wheels" ]; then
  echo "building llama-cpp-python and llama-server (about three minutes on two cores, once)"
  part=$wheels.part.$$
  trap 'rm -rf "$part"' EXIT
  # No cache: pip would take a wheel that it built before, whatever the flags were then. PATH: cmake and ninja of the
  # lock file, not the system's.
  PATH=$PWD/$1/bin:$PATH CMAKE_ARGS=$flags CMAKE_GENERATOR=Ninja \
    "$python" -m pip wheel --no-cache-dir --quiet --disable-pip-version-check --no-deps --no-build-isolation \
    --require-hashes --requirement requirements/llama-cpp.lock --wheel-dir "$part"
  mv "$part" "$wheels"
fi
"$python" -m pip install --quiet --disable-pip-version-check --no-deps --no-index --force-reinstall "$wheels"/*.whl
