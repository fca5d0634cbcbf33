#!/bin/sh
# Makes ready what the tests with containers need, where that is possible: on Debian, as root. Docker's engine, Compose and
# debootstrap come from the distribution; a base image is made of the distribution's own packages, since no registry is
# asked for one; Redis for the profile `redis` is its package, too. $1: where it is kept. Elsewhere it says so, and does
# nothing: those tests say why they do not run.
set -eu
if [ "$(uname -s)" != Linux ] || [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
  echo "the tests with containers need Debian and root: they will be skipped" >&2
  exit 0
fi
missing=""
for pair in dockerd:docker.io docker:docker.io docker-compose:docker-compose debootstrap:debootstrap; do
  command -v "${pair%%:*}" >/dev/null 2>&1 || missing="$missing ${pair#*:}"
done
if [ -n "$missing" ]; then
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq
  # shellcheck disable=SC2086 # a list
  apt-get install -y -qq --no-install-recommends $missing >/dev/null
fi

suite=$(. /etc/os-release && echo "$VERSION_CODENAME")
folder=$1
mkdir -p "$folder"
base=$folder/base-$suite.tar
redis=$folder/redis-$suite.tar
if [ ! -f "$base" ]; then
  echo "making a base image of Debian's packages (a minute, once)"
  mirror=$(sed -n 's/^URIs: *//p; s/^deb \(\[[^]]*\] \)\{0,1\}\([^ ]*\) .*/\2/p' /etc/apt/sources.list.d/debian.sources \
    /etc/apt/sources.list 2>/dev/null | grep -v security | head -n 1)
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  debootstrap --variant=minbase --include=python3,ca-certificates "$suite" "$work/root" ${mirror:+"$mirror"} \
    >"$work/log" 2>&1 || { tail -n 20 "$work/log" >&2; exit 1; }
  tar -C "$work/root" --exclude='./var/cache/apt/archives/*.deb' --exclude='./var/lib/apt/lists/*' --exclude='./dev/*' \
    -cf "$base.part" .
  mv "$base.part" "$base"
fi
if [ ! -f "$redis" ]; then
  work=${work:-$(mktemp -d)}
  trap 'rm -rf "$work"' EXIT
  mkdir -p "$work/packages" "$work/redis"
  # Of all that it may depend on, what the base does not have.
  wanted=$(apt-cache depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces \
    --no-enhances redis-server | grep -E '^(redis|lua|liblua|liblzf|libjemalloc|libhiredis|libatomic)' | sort -u)
  # shellcheck disable=SC2086 # a list
  (cd "$work/packages" && apt-get download -qq -o APT::Sandbox::User=root $wanted >/dev/null)
  for package in "$work"/packages/*.deb; do dpkg-deb -x "$package" "$work/redis"; done
  tar -C "$work/redis" -cf "$redis.part" ./usr
  mv "$redis.part" "$redis"
fi
