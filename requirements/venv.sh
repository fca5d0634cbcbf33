#!/bin/sh
# Makes the virtual environment $1 with the first Python >= 3.11 there is ($PYTHON if set).
set -eu
good() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }

found=""
for python in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11}; do
  if good "$python"; then found=$python; break; fi
done
if [ -z "$found" ]; then
  echo "llm-gateway needs Python 3.11 or newer, and ${PYTHON:-python3} is not it." >&2
  echo "Install it (macOS: brew install python@3.13, Debian 12 and later: apt-get install python3-venv), or say" >&2
  echo "make PYTHON=/path/to/python3" >&2
  exit 1
fi
if ! "$found" -c 'import ensurepip' >/dev/null 2>&1; then
  if command -v apt-get >/dev/null 2>&1 && [ "$(id -u)" = 0 ]; then
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python3-venv
  else
    echo "$found has no ensurepip. Please run:  sudo apt-get install python3-venv" >&2
    exit 1
  fi
fi
exec "$found" -m venv --clear "$1"
