#!/usr/bin/env bash
# Puts the nginx and the Caddy that the end-to-end tests run into .tools/proxies/, once, and prints the path of that
# directory. Nothing else goes to stdout. Called by tests/run.sh. Those of the system are taken where there are any; else
# Debian's packages are downloaded and unpacked, not installed: nothing of the system changes, and no server is started.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../.." && pwd)
target=$root/.tools/proxies

say() { printf '%s\n' "$*" >&2; }

# runs DIRECTORY: whether both are there and run.
runs() {
  "$1/nginx" -v >/dev/null 2>&1 && "$1/caddy" version >/dev/null 2>&1
}

# from_system NAME: where the system's own is.
from_system() {
  PATH=$PATH:/usr/sbin:/usr/local/sbin command -v "$1"
}

# download NAME: into $scratch/NAME.
download() {
  if ! command -v apt-get >/dev/null 2>&1; then
    say "install $1: this is no Debian; install $1 with your system's own tools, so that it is in PATH"
    return 1
  fi
  say "install $1: unpacking Debian's package into ${target#"$root"/} (about 10 MB for both, once)"
  # Who never asked for the lists has none; only root may.
  if ! fetch "$1" && ! { [ "$(id -u)" -eq 0 ] && apt-get update -qq >&2 && fetch "$1"; }; then
    say "install $1: apt-get could not download it. Either of these helps: apt-get update; apt-get install $1"
    return 1
  fi
  dpkg -x "$scratch"/"$1"_*.deb "$scratch/unpacked"
  find "$scratch/unpacked" -path "*bin/$1" -type f -exec cp {} "$scratch/$1" \;
}

fetch() { (cd "$scratch" && apt-get download -qq "$1" >&2); }

install() {
  mkdir -p "$root/.tools"
  # Beside the target, so that the last step is a rename: an interrupted installation leaves nothing half there.
  scratch=$(mktemp -d "$root/.tools/proxies.XXXXXX")
  trap 'rm -rf "$scratch"' EXIT
  local name
  for name in nginx caddy; do
    if from_system "$name" >/dev/null; then
      ln -s "$(from_system "$name")" "$scratch/$name"
    else
      download "$name"
    fi
    if ! "$scratch/$name" "$([ "$name" = nginx ] && echo -v || echo version)" >&2; then
      say "install $name: what was unpacked does not run here, for want of a library: apt-get install $name"
      return 1
    fi
  done
  rm -rf "$scratch/unpacked" "$scratch"/*.deb "$target"
  # Lost against another run of this script: then that one's is as good.
  mv "$scratch" "$target" 2>/dev/null || runs "$target"
}

runs "$target" || install
printf '%s\n' "$target"
