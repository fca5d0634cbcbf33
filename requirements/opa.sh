#!/bin/sh
# Puts the policy engine OPA where the tests look for it: $1/bin/opa, built from source at a pinned version. Go checks the
# module against its checksum database (go.sum of the module graph). $1: the virtual environment.
set -eu
version=v1.22.0
target=$1/bin/opa
if [ -x "$target" ] && "$target" version 2>/dev/null | grep -q "^Version: ${version#v}$"; then
  exit 0
fi
if ! command -v go >/dev/null 2>&1; then
  if [ "$(uname -s)" != Darwin ] && command -v apt-get >/dev/null 2>&1 && [ "$(id -u)" = 0 ]; then
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq && apt-get install -y -qq --no-install-recommends golang-go
  else
    echo "make test builds OPA and needs Go. Please run:  brew install go   (Debian: sudo apt-get install golang-go)" >&2
    exit 1
  fi
fi
echo "building OPA $version (a minute the first time)"
GOBIN=$(cd "$1/bin" && pwd) CGO_ENABLED=0 GOFLAGS=-trimpath GOTOOLCHAIN=auto \
  go install "github.com/open-policy-agent/opa@$version"
