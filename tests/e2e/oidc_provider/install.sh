#!/usr/bin/env bash
# Installs the OpenID provider that claimgate is tested against, npm's oidc-provider with what package-lock.json pins,
# into .tools/, once, and prints the path of its node_modules. Nothing else goes to stdout. Called by tests/run.sh;
# needs Node.js 20 or newer with npm.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../../.." && pwd)
version=$(sed -n 's/.*"oidc-provider": "\(.*\)".*/\1/p' "$here/package.json")
target=$root/.tools/oidc-provider-$version

say() { printf '%s\n' "$*" >&2; }

# Of exactly these locks: a dependency may be raised without the provider's own version.
installed() { cmp -s "$here/package-lock.json" "$target/package-lock.json"; }

# download: into $scratch/provider, from nothing. No package runs a script; the lock has a digest of each.
download() {
  rm -rf "$scratch/provider"
  mkdir "$scratch/provider"
  cp "$here/package.json" "$here/package-lock.json" "$scratch/provider/"
  npm ci --prefix "$scratch/provider" --ignore-scripts --no-audit --no-fund --loglevel=error >&2
}

install() {
  if ! command -v npm >/dev/null 2>&1; then
    say "install oidc-provider: needs npm, which comes with Node.js 20 or newer; deploy/prerequisites.sh --tests says more"
    return 1
  fi
  mkdir -p "$root/.tools"
  # Beside the target, so that the last step is a rename: an interrupted installation leaves nothing half there.
  scratch=$(mktemp -d "$root/.tools/oidc-provider.XXXXXX")
  trap 'rm -rf "$scratch"' EXIT
  say "install oidc-provider: installing $version into ${target#"$root"/} (about 4 MB, once)"
  # A registry that fails for a moment is common and costs a whole test run, so it is asked again, ever later.
  local pause
  for pause in 5 20 60 no; do
    download && break
    if [ "$pause" = no ]; then
      say "install oidc-provider: npm could not install oidc-provider $version; its registry has to be reachable."
      return 1
    fi
    say "install oidc-provider: that failed; trying again in $pause s"
    sleep "$pause"
  done
  rm -rf "$target"
  # Lost against another run of this script: then that one's is as good.
  mv "$scratch/provider" "$target" 2>/dev/null || installed
}

installed || install
printf '%s\n' "$target/node_modules"
