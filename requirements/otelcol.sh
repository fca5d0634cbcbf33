#!/bin/sh
# Puts an OpenTelemetry Collector where the tests look for it: $1/bin/otelcol, built from source at a pinned version with
# nothing but an OTLP receiver and an exporter that writes down what came. Go checks every module against its checksum
# database. $1: the virtual environment. (requirements/opa.sh has seen to it that there is a Go.)
set -eu
beta=v0.150.0
stable=v1.56.0
target=$1/bin/otelcol
if [ -x "$target" ] && "$target" --version 2>/dev/null | grep -q "version ${beta#v}$"; then
  exit 0
fi
echo "building OpenTelemetry Collector $beta (a minute or two the first time)"
bin=$(cd "$1/bin" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
from=go.opentelemetry.io/collector
cat >"$work/builder.yaml" <<END
dist: {module: llm-gateway/otelcol, name: otelcol, output_path: $work/out, version: ${beta#v}}
receivers: [{gomod: "$from/receiver/otlpreceiver $beta"}]
exporters: [{gomod: "$from/exporter/debugexporter $beta"}]
providers:
  - gomod: "$from/confmap/provider/envprovider $stable"
  - gomod: "$from/confmap/provider/fileprovider $stable"
END
export CGO_ENABLED=0 GOFLAGS=-trimpath GOTOOLCHAIN=auto
GOBIN=$work go install "$from/cmd/builder@$beta"
"$work/builder" --config "$work/builder.yaml" >"$work/log" 2>&1 || { tail -n 20 "$work/log" >&2; exit 1; }
mv "$work/out/otelcol" "$bin/otelcol"
