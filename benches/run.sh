#!/usr/bin/env bash
# Prints how many checks per second claimgate answers next to a service that does nothing. Arguments go to the driver
# (--help lists them). Nothing else should be running meanwhile.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
exec cargo bench --locked --quiet --profile quick-release --bench check -- "$@"
