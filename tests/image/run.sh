#!/usr/bin/env bash
# Builds the image of deploy/docker/Dockerfile, as it is published, and holds it and the compose file to what is claimed of
# them, with podman. Called by tests/run.sh; runs alone as well, as root on Linux. The release build takes about five
# minutes the first time and is kept below CARGO_TARGET_DIR.
#
# No registry is asked: the builder stage compiles with this machine's own toolchain and libraries, which have to be those of a
# Debian or an Ubuntu.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
if [ "$(uname -s)" != Linux ] || [ "$(id -u)" != 0 ]; then
  echo "image: needs Linux and root, for podman's networks and to see into the image: sudo tests/image/run.sh" >&2
  exit 1
fi
PYTHONPATH=$(tests/image/install.sh)
cargo fetch --locked --quiet
export PYTHONPATH
# From here on there is no network but one of our own: podman's bridges and firewall rules are in it and end with it, no port is
# taken that somebody else has, and nothing can be fetched that is not here. The same for what is mounted.
exec unshare --net --mount python3 -B tests/image/main.py "$@"
