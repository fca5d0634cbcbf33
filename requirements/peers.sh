#!/bin/sh
# Installs the gateways that `make bench` measures beside ours into folders of their own: LiteLLM into $1/litellm (a
# virtual environment, by hash), Portkey into $1/portkey (npm ci, by hash, no install script runs), Bifrost into
# $1/bifrost (built from its source, by hash; its npm package downloads whatever program its maker's host has, without a
# checksum). docs/decisions/0045 has the reasons. One that cannot be had is told of, and the others are measured.
set -eu
cd "$(dirname "$0")/.."
folder=$1
mkdir -p "$folder"

if ! cmp -s requirements/litellm.lock "$folder/litellm/installed.lock"; then
  echo "installing LiteLLM (740 MB on the disk; a minute and a half on two cores)"
  sh requirements/venv.sh "$folder/litellm"
  "$folder/litellm/bin/python" -m pip --quiet --disable-pip-version-check --no-input install \
    --require-hashes --requirement requirements/litellm.lock
  cp requirements/litellm.lock "$folder/litellm/installed.lock"
fi

npm=tests/benchmarks/peers/npm
if ! command -v npm >/dev/null 2>&1; then
  echo "Portkey needs Node.js: brew install node (Debian: apt-get install nodejs npm), then make bench-peers again" >&2
elif ! cmp -s "$npm/package-lock.json" "$folder/portkey/package-lock.json" \
  || [ ! -f "$folder/portkey/node_modules/.package-lock.json" ]; then # npm writes that file last
  echo "installing Portkey"
  mkdir -p "$folder/portkey"
  cp "$npm/package.json" "$npm/package-lock.json" "$npm/.npmrc" "$folder/portkey/"
  (cd "$folder/portkey" && npm ci --no-audit --no-fund >/dev/null)
fi

if ! command -v go >/dev/null 2>&1; then
  echo "Bifrost needs Go: brew install go (Debian: apt-get install golang-go), then make bench-peers again" >&2
else
  sh requirements/bifrost.sh "$folder/bifrost" || echo "Bifrost is left out" >&2
fi
