#!/usr/bin/env bash
# Builds the image of deploy/docker/Dockerfile, as it is published, and holds it and the compose file to what is claimed of
# them, with podman. Called by tests/run.sh; runs alone as well, as root on Linux. The release build takes about five
# minutes the first time and is kept below CARGO_TARGET_DIR.
#
# No registry is asked: the builder stage compiles with this machine's own toolchain and libraries. BUILDER_IMAGE=… has it
# use an image instead, rust:1.95-slim-trixie say.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
if [ "$(uname -s)" != Linux ] || [ "$(id -u)" != 0 ]; then
  echo "image: needs Linux and root, for podman's networks and to see into the image: sudo tests/image/run.sh" >&2
  exit 1
fi
PYTHONPATH=$(tests/image/install.sh)
ENVOY=$(deploy/install-envoy.sh)
# The build itself is offline.
cargo fetch --locked --quiet
export PYTHONPATH ENVOY
exec python3 -B tests/image/main.py "$@"
