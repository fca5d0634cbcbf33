#!/bin/sh
# Makes sure of the programs that no Python package brings. For tests: a C++ compiler (llama-cpp-python), curl,
# openssl and Node.js (real clients), redis-server, PostgreSQL and Prometheus (tests start their own), Chromium (whose
# rules for pages are its own). With the argument `bench` for benchmarks: nginx, wrk, Go and redis-server. Installs them
# on Debian as root, else says in one line how to.
set -eu
what=${1:-test}
missing=""
need() { # COMMAND DEBIAN-PACKAGE
  command -v "$1" >/dev/null 2>&1 || missing="$missing $2"
}
case $what in
bench)
  brew="brew install nginx wrk go redis"
  need nginx nginx
  need wrk wrk
  need go golang-go
  need redis-server redis-server
  ;;
test)
  brew="xcode-select --install; brew install node curl redis postgresql prometheus; brew install --cask google-chrome"
  if [ "$(uname -s)" = Darwin ]; then
    xcode-select -p >/dev/null 2>&1 || missing="$missing c++" # /usr/bin/c++ is there without a compiler behind it
  else
    need ip iproute2 # network namespaces stand for the hosts of a LAN
    need systemctl systemd
  fi
  need c++ g++
  need curl curl
  need openssl openssl
  need node nodejs
  need npm npm
  need redis-server redis-server
  need promtool prometheus
  need prometheus prometheus
  command -v google-chrome >/dev/null 2>&1 || [ -d "/Applications/Google Chrome.app" ] || need chromium chromium
  # Debian keeps the server outside of PATH.
  ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || need postgres postgresql
  ;;
*)
  echo "usage: $0 [test | bench]" >&2
  exit 2
  ;;
esac
[ -z "$missing" ] && exit 0

if [ "$(uname -s)" = Darwin ]; then
  echo "make $what needs more programs. Please run:  $brew" >&2
  exit 1
fi
if command -v apt-get >/dev/null 2>&1 && [ "$(id -u)" = 0 ]; then
  export DEBIAN_FRONTEND=noninteractive
  apt-get -o DPkg::Lock::Timeout=300 update -qq
  # shellcheck disable=SC2086 # a list
  exec apt-get -o DPkg::Lock::Timeout=300 install -y -qq --no-install-recommends $missing
fi
echo "make $what needs more programs. Please run:  sudo apt-get install$missing" >&2
exit 1
