#!/bin/sh
# Puts Jaeger where the tests look for it: $1/bin/jaeger, its all-in-one (collector, query, memory store) built from
# source at a pinned version, without the web pages. Go checks the module and what it needs against its checksum
# database. $1: the virtual environment. (requirements/opa.sh has seen to it that there is a Go.)
#
# Built in a copy of the module: it has a `replace` in go.mod, with which `go install` takes no module. v1.76.0 is
# the last one that the Go proxy has; Jaeger 2, which is in it as cmd/jaeger, has a whole collector around it to compile.
set -eu
version=v1.76.0
target=$1/bin/jaeger
if [ -x "$target" ] && "$target" version 2>/dev/null | grep -q "$version"; then
  exit 0
fi
echo "building Jaeger $version (two minutes the first time)"
module=github.com/jaegertracing/jaeger
bin=$(cd "$1/bin" && pwd)
work=$(mktemp -d)
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
export CGO_ENABLED=0 GOTOOLCHAIN=auto
cd "$work"
source=$(go mod download -json "$module@$version" | sed -n 's/^[[:space:]]*"Dir": "\(.*\)",*$/\1/p')
cp -R "$source" jaeger
chmod -R u+w jaeger
cd jaeger
go build -trimpath -buildvcs=false -ldflags "-s -w -X $module/internal/version.latestVersion=$version" \
  -o "$bin/jaeger" ./cmd/all-in-one >"$work/log" 2>&1 || { tail -n 20 "$work/log" >&2; exit 1; }
