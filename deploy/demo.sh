#!/usr/bin/env bash
# The demo in one command: says what this machine lacks, puts Envoy and, where the system has none, Redis into .tools/,
# builds claimgate and runs `claimgate demo`. Arguments are passed on: `deploy/demo.sh --check` tells the story and exits 0
# or 1, `--without-circle` leaves out what needs Redis.
# Honours CARGO_TARGET_DIR. Everything listens on loopback and ends with Ctrl-C.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
deploy/prerequisites.sh
envoy=$(deploy/install-envoy.sh)
case " $* " in
  *" --without-circle "* | *" --redis"[\ =]*) ;;
  *)
    redis=$(deploy/install-redis.sh)
    set -- --redis "$redis" "$@"
    ;;
esac
cargo build --locked
# exec, here and in cargo: a signal to this script's process reaches the demo, which then ends what it started.
exec cargo run --locked --quiet -- demo --envoy "$envoy" "$@"
