#!/bin/sh
# Installs the agents of package.json into a folder: install.sh FOLDER. About 400 MB to download, 940 MB on the disk; what is
# there already in these versions is left alone.
set -eu

folder=${1:?usage: install.sh FOLDER}
here=$(cd "$(dirname "$0")" && pwd)
command -v npm >/dev/null || { echo "install.sh: npm is missing: install Node.js" >&2; exit 1; }

mkdir -p "$folder"
if cmp -s "$here/package-lock.json" "$folder/package-lock.json" && [ -f "$folder/node_modules/.package-lock.json" ]; then
    exit 0 # npm writes that file last, and `npm ci` would begin anew
fi
cp "$here/package.json" "$here/package-lock.json" "$here/.npmrc" "$folder/"
cd "$folder"
npm ci --no-audit --no-fund >&2
