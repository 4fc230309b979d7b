#!/usr/bin/env bash
# Puts a Redis into .tools/redis/, once, and prints the path of its redis-server. Nothing else goes to stdout. That of the
# system is taken where there is one; else Debian's package and the libraries that it needs are downloaded and unpacked,
# not installed: nothing of the system changes, and no server is started. The argument is the oldest version that will do,
# by default 6, which is claimgate's own. Called by deploy/demo.sh and tests/redis/install.sh.
set -euo pipefail

readonly OLDEST=${1:-6}
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
target=$root/.tools/redis

say() { printf '%s\n' "$*" >&2; }

# runs DIRECTORY: whether there is one, new enough. "Redis server v=7.0.15 …"
runs() {
  local version
  version=$("$1/redis-server" --version 2>/dev/null) || return 1
  version=${version#*v=}
  [ "${version%%.*}" -ge "$OLDEST" ] 2>/dev/null
}

# Of redis-tools: the server is a link to one of its programs, which do by their name what they do. Libraries are what it
# depends on, down to those that every Debian has.
download_redis() {
  if ! command -v apt-get >/dev/null 2>&1; then
    say "install-redis: this is no Debian. Install Redis $OLDEST or newer, so that redis-server is in PATH"
    say "  Fedora: dnf install redis   macOS: brew install redis   or do without: deploy/demo.sh --without-circle"
    return 1
  fi
  say "install-redis: unpacking Debian's package into ${target#"$root"/} (about 4 MB, once)"
  # Who never asked for the lists has none; only root may.
  if ! fetch && ! { [ "$(id -u)" -eq 0 ] && apt-get update -qq >&2 && fetch; }; then
    say "install-redis: apt-get could not download it. Either of these helps: apt-get update; apt-get install redis-server"
    return 1
  fi
  local package
  for package in "$scratch"/*.deb; do dpkg -x "$package" "$scratch/unpacked"; done
  rm "$scratch"/*.deb
  # By its name it knows what to be; the loader needs to be told where its libraries are.
  cat >"$scratch/redis-server" <<'END'
#!/usr/bin/env bash
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
libraries=$(find "$here/unpacked" -type d -name '*-linux-gnu' | paste -sd:)
LD_LIBRARY_PATH=$libraries exec -a redis-server "$here/unpacked/usr/bin/redis-check-rdb" "$@"
END
  chmod +x "$scratch/redis-server"
}

fetch() {
  (
    cd "$scratch"
    # Its own, and what of it a minimal Debian may lack.
    mapfile -t libraries < <(apt-cache depends --important redis-tools 2>/dev/null |
      sed -nE 's/^ *\|?Depends: ([a-z0-9.+-]+)$/\1/p' | grep -vE '^(adduser|libc6|libssl.*|libsystemd0|libgcc-s1|libstdc\+\+6)$')
    [ "${#libraries[@]}" -gt 0 ] && apt-get download -qq redis-tools "${libraries[@]}" >&2
  )
}

install() {
  mkdir -p "$root/.tools"
  # Beside the target, so that the last step is a rename: an interrupted installation leaves nothing half there.
  scratch=$(mktemp -d "$root/.tools/redis.XXXXXX")
  trap 'rm -rf "$scratch"' EXIT
  local server
  if server=$(PATH=$PATH:/usr/sbin:/usr/local/bin command -v redis-server); then
    ln -s "$server" "$scratch/redis-server"
  fi
  if ! runs "$scratch"; then
    rm -f "$scratch/redis-server"
    download_redis
  fi
  if ! runs "$scratch"; then
    say "install-redis: what was unpacked does not run here: $("$scratch/redis-server" --version 2>&1 || true); apt-get install redis-server"
    return 1
  fi
  rm -rf "$target"
  # Lost against another run of this script: then that one's is as good.
  mv "$scratch" "$target" 2>/dev/null || runs "$target"
}

# In a shell of its own, which removes what it leaves.
runs "$target" || (install)
printf '%s\n' "$target/redis-server"
