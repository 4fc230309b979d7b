#!/usr/bin/env bash
# Holds the Helm chart and every Kubernetes, Istio, Envoy Gateway and systemd file in deploy/ to what is claimed of them.
# Called by tests/run.sh; runs alone as well. The claimgate that reads the rendered configurations is built first.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
HELM=$(deploy/install-helm.sh)
ENVOY=$(deploy/install-envoy.sh)
PYTHONPATH=$(tests/manifests/install.sh)
cargo build --locked --quiet --bin claimgate
CLAIMGATE=${CARGO_TARGET_DIR:-target}/debug/claimgate
export HELM ENVOY PYTHONPATH CLAIMGATE
exec python3 -B tests/manifests/main.py "$@"
