#!/usr/bin/env bash
# Says what this machine lacks for building and running claimgate, all of it at once and how to get it; exits 1 then
# and 0, silently, if nothing is missing. With --tests, also what only its tests need. Called by deploy/demo.sh and, with
# --tests, by tests/run.sh.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
missing=0

lacks() {
  missing=1
  printf 'missing: %s\n' "$1" >&2
  shift
  printf '         %s\n' "$@" >&2
}

rust_wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' "$root/Cargo.toml")
if ! rust_found=$(cargo --version 2>/dev/null); then
  lacks "Rust $rust_wanted or newer (no cargo that runs is in PATH)" "https://rustup.rs"
else
  rust_found=${rust_found#cargo }
  rust_found=${rust_found%% *}
  oldest=$(printf '%s\n%s\n' "$rust_wanted" "$rust_found" | sort -V | head -n 1)
  if [ "$oldest" != "$rust_wanted" ]; then
    lacks "Rust $rust_wanted or newer (found $rust_found)" "rustup update stable"
  fi
fi

# aws-lc is C and the linker is the C compiler's.
if ! command -v "${CC:-cc}" >/dev/null 2>&1 && ! command -v clang >/dev/null 2>&1; then
  lacks "a C compiler (cc), for aws-lc and as the linker" \
    "Debian, Ubuntu: apt-get install gcc libc6-dev    Fedora: dnf install gcc    macOS: xcode-select --install"
fi

if ! python3 -c 'import sys; sys.exit(sys.version_info < (3, 10))' >/dev/null 2>&1; then
  lacks "Python 3.10 or newer as python3 (found: $(python3 --version 2>/dev/null || echo none)), to install Envoy" \
    "Debian, Ubuntu: apt-get install python3 python3-pip    Fedora: dnf install python3 python3-pip"
fi

# The OpenID provider of the end-to-end tests runs on it.
if [ "${1:-}" = --tests ]; then
  readonly NODE_HELP="Debian 13, Ubuntu 25.04 or newer: apt-get install nodejs npm    Fedora: dnf install nodejs npm    others: https://nodejs.org"
  node_found=$(node --version 2>/dev/null || echo none)
  node_major=${node_found#v}
  node_major=${node_major%%.*}
  if ! [ "$node_major" -ge 20 ] 2>/dev/null; then
    lacks "Node.js 20 or newer as node (found: $node_found), for the tests" "$NODE_HELP"
  fi
  if ! npm --version >/dev/null 2>&1; then
    lacks "npm, for the tests" "$NODE_HELP"
  fi
  # The commands of deploy/issuer.md.
  if ! curl --version >/dev/null 2>&1; then
    lacks "curl, for the tests" "Debian, Ubuntu: apt-get install curl    Fedora: dnf install curl"
  fi
fi

exit "$missing"
