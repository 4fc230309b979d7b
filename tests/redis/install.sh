#!/usr/bin/env bash
# Puts what the tests of revocation run into .tools/, once: a Redis from 7 on (claimgate does with 6, its tests do not), and
# redis-py, Go and redigo, with which they run the examples. Called by tests/run.sh.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
python_library=$root/.tools/redis-py

source "$root/deploy/from-pip.sh"

# The hashes pin the files themselves; the second is for Python 3.10.
requirements() {
  cat <<END
redis==8.1.0 \
  --hash=sha256:a4fe1aac3d3b3cc791d4b3d5931c5a956045dc951ee74d1c913ee3ac4d2ee9fb
async-timeout==5.0.1 \
  --hash=sha256:39e3809566ff85354557ec2398b55e096c8364bacac9405a7a1fa429e77fe76c
END
}

is_library() { PYTHONPATH=$1 python3 -c 'import redis'; }

"$root/deploy/install-redis.sh" 7
# In a shell of its own, which removes what it leaves.
[ -d "$python_library" ] ||
  (requirements | from_pip install-redis-py "redis-py (about 1 MB)" "$python_library" is_library "It is pure Python.")
"$root/tests/redis/install_go.sh"
