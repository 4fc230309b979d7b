#!/usr/bin/env bash
# Puts what the tests of the alerts, the dashboard and the status page need on this machine: Prometheus with promtool, openssl, and
# Chromium with a font, by apt where this is Debian and we are root. Starts nothing, and leaves no server running that was not before. Called by run.sh.
set -euo pipefail

readonly PROGRAMS=(prometheus promtool openssl chromium)
readonly PACKAGES=(prometheus openssl chromium fonts-dejavu-core)

say() { printf '%s\n' "$*" >&2; }

lacking() {
  local program
  for program in "${PROGRAMS[@]}"; do
    command -v "$program" >/dev/null || printf '%s ' "$program"
  done
}

# install: the package would start a server of its own on port 9090, unless there is somebody who forbids it.
install() {
  local policy=/usr/sbin/policy-rc.d
  if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
    trap 'rm -f "$policy"' RETURN
  fi
  apt-get update -qq && apt-get install -y -qq --no-install-recommends "${PACKAGES[@]}"
}

if [ -n "$(lacking)" ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  say "observability: installing ${PACKAGES[*]} by apt (about 150 MB, once)"
  export DEBIAN_FRONTEND=noninteractive
  install >&2 || true
fi
if [ -n "$(lacking)" ]; then
  say "observability: missing: $(lacking)"
  say "       Debian 12, Ubuntu 24.04 or newer: apt-get install --no-install-recommends ${PACKAGES[*]}"
  say "       Ubuntu has Chromium as a snap: snap install chromium. Others: https://prometheus.io/download (2.42 or newer)"
  say "       and https://www.chromium.org, so that all of them are in PATH"
  exit 1
fi
