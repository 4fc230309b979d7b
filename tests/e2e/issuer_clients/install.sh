#!/usr/bin/env bash
# Installs the libraries that check the reference issuer's tokens and that we did not write, once, into .tools/: npm's jose
# and openid-client with what package-lock.json pins, and PyJWT with what the hashes below pin. Prints nothing on stdout.
# Called by tests/run.sh; needs Node.js 20 or newer with npm, and Python 3.10 or newer with pip.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../../.." && pwd)
node_target=$root/.tools/issuer-clients
# Parts of it are compiled for one version of Python.
python_target=$root/.tools/pyjwt-2.15.1-python$(python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')

source "$root/deploy/from-pip.sh"

# The hashes pin the files themselves: Python 3.10 to 3.14 on x86-64 and arm64 Linux (glibc) and arm64 macOS.
requirements() {
  cat <<END
PyJWT==2.15.1 \
  --hash=sha256:42d59d631f7768a1028a64c7ff581a9bf7519804daf91fc5b6c56e30eec5e193
cffi==2.1.1 \
  --hash=sha256:ca82be1a1d406ecfe1d25dc16cb33488e5a16bf4438c9fb590484ea29d92478b \
  --hash=sha256:5a59cc1c4442bc3d5c703bf720b51138d0bfc173618807c9ee2490a7541dd3d9 \
  --hash=sha256:194cffa889098ced9976c3fc6340305e43f6303657d298da55366907c05c22d6 \
  --hash=sha256:398aff33cee2767e3e781d2554c54bd0dff386bb437581e0d8011fde1a942ec1 \
  --hash=sha256:3311ed60d36f83378794e1009ac6258bafbf81f7888b4caa7b35a521e3f95813 \
  --hash=sha256:34e261f78cb6ceaaa36f42f2613f4380d94d9c759a9c73c769ee6e0247364632 \
  --hash=sha256:f81b3b8f3d4e343550fa4baa0e479bba9f2d29ce9c2e9b51d1ce1718d7442fcf \
  --hash=sha256:68e62fe11f30d5ca8289242866f0a5291402d8529ca2178ab8afc5c9694ae890 \
  --hash=sha256:c1453022f490d2459a11819d83ad1d586e9ff65a12ac3e705ffebd46d3685dcf \
  --hash=sha256:19ee6127ee34de7d83ce3d371ebc5ed91addbdcc39f9ab15ce4eb35a4e534971 \
  --hash=sha256:f16c709686a78c727bbbf059f92b0bf41c6fc60deec706d2dc19f529175a6125 \
  --hash=sha256:a931079504ecc49efed7744c476a5c343a92fabf66dec2db95edb1b2fdc770e2 \
  --hash=sha256:661c298b4821edebead0c91edd2b00374d67ad7c5a1f7a91d4442633b79d6a72 \
  --hash=sha256:58acb8ab8e295e6c5ea12f888cbb13cf21511ef2a3303a23f4325c29d17fe5c1 \
  --hash=sha256:b0431303acaea1089ad4b3e9ce4e6518193def1118d4073ca848635ee4ea2e96
cryptography==50.0.2 \
  --hash=sha256:fa8f5efb344d6908a1ce62f4a24e2e5780f825d6f53f5f50ec5ffacac72936cb \
  --hash=sha256:f9f6143a8c75945eb960d9eb98905a441394abfa24afaae239d514ffb2586480 \
  --hash=sha256:4061c0079120205fb760c58acab6443e217307dcf05e3702cf970e0689972856 \
  --hash=sha256:87e9ce85beb6b328ba370cc6e6aea483c92617b4c95b1d33a49297eb662bfb04 \
  --hash=sha256:9dab55f57c74c3cad24c323bacbbd04be4705ba6eb0d92e920b1fc4837ed5079 \
  --hash=sha256:0ec5f09541743261e66e291b4a0cbf0fb2997aeaab6d9e9c740b9dba1b58d1c2 \
  --hash=sha256:dfe9763530994147d9af1def057a5b9658b00e8f8fe8743d144d1e0911c2e454 \
  --hash=sha256:f21e8a22c8605750c7af886bab299a363721264061b4ac0a30efb73cfd58efc5 \
  --hash=sha256:0ddc924c04591c2811ca024d62ecad4f7f6f08af8939c211438f48a16bd23602 \
  --hash=sha256:1981f1db4630889b9ef7803fadef12b056f428cb6b85c27ba57b774793b6093c
pycparser==3.12 \
  --hash=sha256:a076f3f489b39b43ed13563a1dafe42447445bec2e294154ec5c57fcdda4c85e
END
}

is_python() {
  PYTHONPATH=$1 python3 -c 'import jwt, cryptography.hazmat.primitives.asymmetric.rsa' || {
    say "issuer clients: what was installed is not PyJWT with cryptography"
    return 1
  }
}

# Of exactly these locks: a dependency may be raised without the library's own version.
is_node() { cmp -s "$here/package-lock.json" "$node_target/package-lock.json"; }

# From nothing. No package runs a script; the lock has a digest of each.
node_libraries() {
  local pause scratch
  mkdir -p "$root/.tools"
  scratch=$(mktemp -d "$node_target.XXXXXX")
  say "issuer clients: installing jose and openid-client into .tools/ (about 2 MB, once)"
  # A registry that fails for a moment is common and costs a whole test run, so it is asked again, ever later.
  for pause in 5 20 60 no; do
    cp "$here/package.json" "$here/package-lock.json" "$here/.npmrc" "$scratch/"
    (cd -P "$scratch" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >&2) && break
    if [ "$pause" = no ]; then
      say "issuer clients: npm could not install them; its registry has to be reachable."
      rm -rf "$scratch"
      return 1
    fi
    say "issuer clients: that failed; trying again in $pause s"
    sleep "$pause"
  done
  rm -rf "$node_target"
  # Lost against another run of this script: then that one's is as good.
  mv "$scratch" "$node_target" 2>/dev/null || { rm -rf "$scratch"; is_node; }
}

is_node || node_libraries
[ -d "$python_target/jwt" ] ||
  requirements | from_pip "issuer clients" "PyJWT 2.15.1 (about 15 MB)" "$python_target" is_python \
    "Pinned are the files for Python 3.10 to 3.14."
