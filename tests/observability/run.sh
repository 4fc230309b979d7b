#!/usr/bin/env bash
# Holds deploy/observability to what is claimed of it: every alert fires when it should and not else, and every question of
# alerts and dashboard is answered by a real Prometheus that scrapes a running claimgate; and looks at claimgate's status page with
# a real browser. Called by tests/run.sh; runs alone as well. An argument runs only the tests whose name contains it.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
tests/observability/install.sh
# For PyYAML.
PYTHONPATH=$(tests/manifests/install.sh)
cargo build --locked --quiet --bin claimgate
CLAIMGATE=${CARGO_TARGET_DIR:-target}/debug/claimgate
export PYTHONPATH CLAIMGATE
exec python3 -B tests/observability/main.py "$@"
