#!/bin/sh
# Builds Bifrost's program into the folder $1 from its source: one commit, which Git checks by its hash, with what that
# imports, which Go checks by the commit's go.sum files. In place of its pages, which npm would build, is an empty one.
# BIFROST_SOURCE says where the commit is to be had: its repository, which docs/decisions/0045 names, or any copy of it.
set -eu
commit=5978108db0fd9a50a3349d10bb6aa311502c05e2 # transports v1.4.19
cd "$(dirname "$0")/.."
work=$PWD/tests/benchmarks/peers/go
mkdir -p "$1"
folder=$(cd "$1" && pwd)
program=$folder/bifrost-http
if [ -x "$program" ]; then
  [ -f "$folder/version" ] || exit 0 # somebody put their own there
  grep -q "$commit" "$folder/version" && exit 0
fi

if [ -z "${BIFROST_SOURCE:-}" ]; then
  echo "Bifrost is in no registry: make bench-peers BIFROST_SOURCE=URL, with its Git repository, builds it" >&2
  exit 1
fi
echo "building Bifrost (five minutes on two cores; 130 MB on the disk)"
tree=$folder/source
rm -rf "$tree"
git init --quiet "$tree"
cd "$tree"
git config gc.auto 0
git config remote.origin.url "$BIFROST_SOURCE"
# Only what is built comes along: the repository's pictures and films are hundreds of megabytes.
git config remote.origin.promisor true
git config remote.origin.partialclonefilter blob:none
git fetch --quiet --depth 1 --filter=blob:none origin "$commit"
git checkout --quiet "$commit" -- core framework plugins transports
cp "$work/go.work" "$work/go.work.sum" .
cd transports/bifrost-http
mkdir -p ui
echo "<!doctype html>" >ui/index.html
CGO_ENABLED=1 go build -trimpath -o "$program.new" . # its SQLite is C
mv "$program.new" "$program"
echo "$(cat ../version)+$commit" >"$folder/version"
cd "$folder"
rm -rf "$tree"
