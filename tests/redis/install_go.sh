#!/usr/bin/env bash
# Puts the Go and the Redis client with which the tests run an example into .tools/go/, once: `go`, and in `path` a GOPATH
# with github.com/gomodule/redigo. The Go of the system is taken where there is one, from 1.18 on; else Debian's packages
# are downloaded and unpacked, not installed (80 MB, 450 MB unpacked). Nothing goes to stdout. Called by install.sh.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
target=$root/.tools/go
readonly LIBRARY=golang-github-gomodule-redigo-dev

say() { printf 'install-go: %s\n' "$*" >&2; }

# runs DIRECTORY: whether both are there, and the first new enough. "go version go1.19.8 linux/amd64"
runs() {
  local version
  [ -d "$1/path/src/github.com/gomodule/redigo/redis" ] || return 1
  version=$("$1/go" version 2>/dev/null) || return 1
  version=${version#go version go1.}
  [ "${version%%[!0-9]*}" -ge 18 ] 2>/dev/null
}

# fetch PACKAGE...: each into $scratch/unpacked.
fetch() {
  (cd "$scratch" && apt-get download -qq "$@" >&2) || return 1
  local package
  for package in "$scratch"/*.deb; do dpkg -x "$package" "$scratch/unpacked"; done
  rm "$scratch"/*.deb
}

# "golang-1.19": what golang-go stands for here.
toolchain() {
  apt-cache depends --important golang-go 2>/dev/null | sed -nE 's/^ *\|?Depends: (golang-[0-9.]+)-go$/\1/p' | head -n 1
}

unpack() {
  # From nothing: it is tried twice.
  rm -rf "${scratch:?}"/*
  fetch "$LIBRARY" || return 1
  mkdir "$scratch/path"
  mv "$scratch/unpacked/usr/share/gocode/src" "$scratch/path/src"
  rm -r "$scratch/unpacked"
  local system version
  if system=$(command -v go); then
    ln -s "$system" "$scratch/go"
    ! runs "$scratch" || return 0
    rm "$scratch/go"
  fi
  version=$(toolchain)
  say "unpacking Debian's $version into ${target#"$root"/} (about 80 MB, once)"
  [ -n "$version" ] && fetch "$version-go" "$version-src" || return 1
  # Its root has links beside itself, which lead to the same place from here.
  ln -s "unpacked/usr/lib/${version/lang/}/bin/go" "$scratch/go"
}

install() {
  if ! command -v apt-get >/dev/null 2>&1; then
    say "this is no Debian. Put github.com/gomodule/redigo into ${target#"$root"/}/path/src and a link to go beside path"
    return 1
  fi
  mkdir -p "$root/.tools"
  # Beside the target, so that the last step is a rename: an interrupted installation leaves nothing half there.
  scratch=$(mktemp -d "$root/.tools/go.XXXXXX")
  trap 'rm -rf "$scratch"' EXIT
  # Who never asked for the lists has none; only root may.
  if ! unpack && ! { [ "$(id -u)" -eq 0 ] && apt-get update -qq >&2 && unpack; }; then
    say "apt-get could not download it. Either of these helps: apt-get update; apt-get install golang-go $LIBRARY"
    return 1
  fi
  if ! runs "$scratch"; then
    say "what was unpacked does not run here: $("$scratch/go" version 2>&1 || true)"
    return 1
  fi
  rm -rf "$target"
  # Lost against another run of this script: then that one's is as good.
  mv "$scratch" "$target" 2>/dev/null || runs "$target"
}

# In a shell of its own, which removes what it leaves.
runs "$target" || (install)
