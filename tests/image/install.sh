#!/usr/bin/env bash
# Puts what the tests of the image need on this machine: podman with buildah, runc and a network, by apt where this is
# Debian and we are root; and podman-compose with PyYAML into .tools/, once. Prints the directory for PYTHONPATH, and
# nothing else, on stdout. Called by run.sh; needs Python 3.10 or newer with pip.
set -euo pipefail

readonly VERSION=1.6.0
# runc: crun refuses machines with both versions of cgroups. netavark, aardvark-dns, iptables: services of a compose file find each
# other by name, and their ports are published.
readonly PROGRAMS=(podman buildah runc iptables openssl)
readonly PACKAGES=(podman buildah runc netavark aardvark-dns iptables openssl ca-certificates)
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
# Parts of it are compiled for one version of Python.
python_version=$(python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')
target=$root/.tools/podman-compose-$VERSION-python$python_version

source "$root/deploy/from-pip.sh"

# The hashes pin the files themselves; PyYAML's are those of tests/manifests/install.sh.
requirements() {
  cat <<END
podman-compose==$VERSION --hash=sha256:98e48af25d44c10ecef948163bfcca002e32aa8bbb7e66593fbd4faff7270c30
python-dotenv==1.2.4 --hash=sha256:42269a8a5b3fd54ffa6f3d84b18abed50064717576b4ecf03dc4a55d8aa04fdc
END
  sed -n '/^pyyaml==/,/[^\\]$/p' "$root/tests/manifests/install.sh"
}

is_there() {
  [ -f "$1/podman_compose.py" ] && [ -d "$1/yaml" ] || {
    say "image: podman-compose and PyYAML are not in what was installed"
    return 1
  }
}

lacking() {
  local program
  for program in "${PROGRAMS[@]}"; do
    command -v "$program" >/dev/null || printf '%s ' "$program"
  done
  [ -x /usr/lib/podman/aardvark-dns ] || [ -x /usr/libexec/podman/aardvark-dns ] || printf 'aardvark-dns '
}

if [ -n "$(lacking)" ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  say "image: installing ${PACKAGES[*]} by apt, once"
  export DEBIAN_FRONTEND=noninteractive
  { apt-get update -qq && apt-get install -y -qq --no-install-recommends "${PACKAGES[@]}"; } >&2 || true
fi
if [ -n "$(lacking)" ]; then
  say "image: missing: $(lacking)"
  say "       Debian 12, Ubuntu 24.04 or newer: apt-get install --no-install-recommends ${PACKAGES[*]}"
  say "       Fedora: dnf install ${PACKAGES[*]}"
  exit 1
fi
is_there "$target" 2>/dev/null ||
  requirements | from_pip image "podman-compose $VERSION (about 3 MB)" "$target" is_there \
    "Pinned are the files for Python 3.10 to 3.14."
printf '%s\n' "$target"
