#!/bin/sh
# `make image`: everything the build needs is put into the build context first, so that the build itself has no network
# and no certificate, proxy or index of this machine can end up in it.  $1: the virtual environment (its pip)
#   BASE      the base image (default: what deploy/Dockerfile says)        TAG     the name (default llm-gateway:VERSION)
#   TARGET    gateway or demo (default gateway)                            OPA     an image with /opa in it (default: built
#   PLATFORM  linux/amd64 or linux/arm64 (default: the engine's own)               by Go, or the official one without a Go)
set -eu
cd "$(dirname "$0")/../.."
python=$1/bin/python
argument() { sed -n "s/^ARG $1=//p" deploy/Dockerfile | head -n 1; }
version=$(sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
target=${TARGET:-gateway}
base=${BASE:-$(argument BASE)}
case $target in
  demo) tag=${TAG:-llm-gateway-demo:$version} locks="run demo" ;;
  *) tag=${TAG:-llm-gateway:$version} locks=run ;;
esac
platform=${PLATFORM:-linux/$(docker version --format '{{.Server.Arch}}')}
arch=${platform#linux/}

# --- wheels for the base's Python, checked against the lock files' hashes ---
about=$(docker run --rm --platform "$platform" --network none --entrypoint python3 "$base" -c \
  'import os, sys; print("%d.%d.%d" % sys.version_info[:3], os.confstr("CS_GNU_LIBC_VERSION").split(".")[1])')
mkdir -p .cache/image
# shellcheck disable=SC2086 # a list
"$python" deploy/image/wheels.py .cache/image/wheels "$arch" "${about% *}" "${about#* }" image $locks

# --- OPA ---
if [ -z "${OPA:-}" ]; then
  if command -v go >/dev/null 2>&1; then
    OPA=$(sh deploy/image/opa.sh "$1" "$arch")
  else
    OPA=$(argument OPA)
  fi
fi

# --- the image; its times are those of the last commit ---
epoch=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}
created=$("$python" -c 'import datetime, sys; print(datetime.datetime.fromtimestamp(int(sys.argv[1]), datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))' "$epoch")
# shellcheck disable=SC2086 # ARGS is a list
exec docker build --quiet --file deploy/Dockerfile --target "$target" --tag "$tag" --platform "$platform" \
  --network none --build-arg "BASE=$base" --build-arg "OPA=$OPA" --build-arg "SOURCE_DATE_EPOCH=$epoch" \
  --build-arg "VERSION=$version" --build-arg "CREATED=$created" \
  --build-arg "REVISION=$(git rev-parse HEAD 2>/dev/null || echo unknown)" ${ARGS:-} .
