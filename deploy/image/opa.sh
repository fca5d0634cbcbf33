#!/bin/sh
# Builds the policy engine OPA for linux/$2 and makes an image of that one file; prints the image's name. Go checks the
# module against its checksum database. Nothing of the machine gets into the program, so it is the same everywhere.
# $1: the virtual environment (where Go's own files are kept apart from); $2: amd64 or arm64
set -eu
cd "$(dirname "$0")/../.."
version=$(sed -n 's/^version=//p' requirements/opa.sh)
name=llm-gateway-opa:${version#v}-$2
docker image inspect "$name" >/dev/null 2>&1 && { echo "$name"; exit 0; }
echo "building OPA $version for linux/$2" >&2
work=$(mktemp -d)
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
modules=$(go env GOMODCACHE)
# GOPATH and not GOBIN, which `go install` refuses for another architecture
GOPATH=$work GOMODCACHE=$modules GOBIN="" GOOS=linux GOARCH=$2 CGO_ENABLED=0 GOTOOLCHAIN=auto \
  go install -trimpath -ldflags "-s -w -buildid=" "github.com/open-policy-agent/opa@$version" >&2
mkdir "$work/image"
find "$work/bin" -type f -name opa -exec mv {} "$work/image/opa" \;
printf 'FROM scratch\nCOPY opa /opa\nENTRYPOINT ["/opa"]\n' >"$work/image/Dockerfile"
docker build --quiet --platform "linux/$2" --tag "$name" "$work/image" >/dev/null
echo "$name"
