#!/bin/sh
# Puts Docker Compose where the tests look for it: $1/bin/docker-compose, built from source at a pinned version, with the
# versions of its own go.mod (it has `exclude` lines, so `go install` will not). Go checks every module against its
# checksum database. $1: the virtual environment. (requirements/opa.sh has seen to it that there is a Go.)
set -eu
version=v5.5.1
target=$1/bin/docker-compose
if [ -x "$target" ] && "$target" version --short 2>/dev/null | grep -q "^${version#v}$"; then
  exit 0
fi
echo "building Docker Compose $version (a minute or two the first time)"
bin=$(cd "$1/bin" && pwd)
work=$(mktemp -d)
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
module=github.com/docker/compose/v5
export CGO_ENABLED=0 GOFLAGS=-trimpath GOTOOLCHAIN=auto
source=$(cd "$work" && go mod download -json "$module@$version" | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p')
cp -R "$source" "$work/source"
chmod -R u+w "$work/source"
(cd "$work/source" && go build -o "$work/docker-compose" -ldflags "-s -w -X $module/internal.Version=${version#v}" ./cmd)
mv "$work/docker-compose" "$bin/docker-compose"
