#!/usr/bin/env bash
# A stranger's first ten minutes: types what README.md says, word for word, into a fresh clone of what is committed here, compares
# what is printed, and prints how long each part took. Called by tests/run.sh; runs alone as well.
#
# Honours CARGO_TARGET_DIR: what is built there already is not built again, but for claimgate itself. Without it the clone builds
# into the target directory of this checkout. .tools of this checkout is the clone's. `--cold` has neither, as a stranger has
# neither: it takes the time of a whole build and of what is downloaded, but for crates that cargo has already.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
tests/observability/install.sh
# For PyYAML, and for the queries of the dashboard.
PYTHONPATH=$(tests/manifests/install.sh):tests/observability
export PYTHONPATH
exec python3 -B tests/stranger/main.py "$@"
