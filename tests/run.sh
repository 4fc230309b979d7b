#!/usr/bin/env bash
# The one command: everything that is held true of claimgate, on this machine, now. Needs Rust, Python 3.10 or newer,
# Node.js 20 or newer with npm, and compilers for C and C++; puts cargo-deny, Envoy, nginx, Caddy, Redis, Go, Helm, the schemas of
# Kubernetes and an OpenID provider into .tools/ when they are not there yet. Honours CARGO_TARGET_DIR.
#
# Every step runs, also after one that failed; the last line counts what passed and what failed: each test of the
# steps that run tests, and each other step as one. Podman, Prometheus and Chromium are installed by apt, which takes root and
# Debian, or else a message says how to get them.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
readonly DENY_VERSION=0.20.2
passed=0
failed=0
must_count=no
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# What all of them print and use, for the last step.
CLAIMGATE_TEST_KEPT=$(realpath -m "${CARGO_TARGET_DIR:-target}")/kept
export CLAIMGATE_TEST_KEPT
rm -rf "$CLAIMGATE_TEST_KEPT"
mkdir -p "$CLAIMGATE_TEST_KEPT/told"

main() {
  deploy/prerequisites.sh --tests
  step "format" cargo fmt --check
  step "lints" cargo clippy --locked --all-targets -- -D warnings
  step "dependencies: bans, licences, sources" deny
  step "documentation" env "RUSTDOCFLAGS=-D warnings" cargo doc --locked --no-deps
  step "the Envoy that the tests run" deploy/install-envoy.sh
  step "the nginx and the Caddy that the tests run" tests/e2e/proxies/install.sh
  step "the OpenID provider that the tests run" tests/e2e/oidc_provider/install.sh
  step "the libraries that check the issuer" tests/e2e/issuer_clients/install.sh
  step "the Redis that the tests run, and what writes to it" tests/redis/install.sh
  counted step "unit, integration and end-to-end tests" cargo test --locked --no-fail-fast
  # The others in between: tests/compatibility.sh, which takes minutes.
  counted step "end to end with the oldest Envoy that is looked after" tests/compatibility.sh --oldest
  step "the benchmarks, too short to measure anything" benches/run.sh --quick
  counted step "fuzzing, 20 s for each target" tests/fuzz/run.sh 20
  counted step "the chart and the manifests" tests/manifests/run.sh
  counted step "the alerts and the dashboard" tests/observability/run.sh
  counted step "the image, and the compose file" tests/image/run.sh
  counted step "the demo, as a stranger runs it" deploy/demo.sh --check
  counted step "no part of a token in what all of that printed" python3 -B tests/leaks/main.py "$CLAIMGATE_TEST_KEPT"
  printf '\n%s passed, %s failed\n' "$passed" "$failed"
  [ "$failed" -eq 0 ]
}

# step NAME COMMAND...: prints what it runs, runs it, counts it, and keeps what it printed.
step() {
  local name=$1 status=0 begun=$SECONDS
  shift
  printf '\n== %s: %s\n' "$name" "$*"
  "$@" 2>&1 | tee "$log" "$CLAIMGATE_TEST_KEPT/told/step-${name//[ \/]/-}" || status=$?
  count "$status"
  printf '== %s: %s after %s s\n' "$name" "$verdict" "$((SECONDS - begun))"
}

# counted step …: a step that must print a count of its own. Silence from it is a failure, not a success.
counted() {
  must_count=yes
  "$@"
  must_count=no
}

# Adds the step's own count if it prints one ("3 passed; 0 failed", one line a test binary; "3 passed, 0 failed"), and
# else the step as one. A step that fails without a failed test (it does not compile, say) is one failure.
count() {
  local status=$1 own_passed own_failed
  own_passed=$(sed -nE 's/^(test result: .*[^0-9])?([0-9]+) passed[;,] [0-9]+ failed.*/\2/p' "$log" | paste -sd+ -)
  own_failed=$(sed -nE 's/^(test result: .*[^0-9])?[0-9]+ passed[;,] ([0-9]+) failed.*/\2/p' "$log" | paste -sd+ -)
  own_passed=$((${own_passed:-0}))
  own_failed=$((${own_failed:-0}))
  verdict=passed
  if [ "$status" -ne 0 ]; then
    verdict="FAILED ($status)"
    [ "$own_failed" -gt 0 ] || own_failed=1
  elif [ "$own_passed" -eq 0 ] && [ "$own_failed" -eq 0 ]; then
    if [ "$must_count" = no ]; then
      own_passed=1
    else
      verdict="FAILED (it ended well, but ran nothing)"
      own_failed=1
    fi
  elif [ "$own_failed" -gt 0 ]; then
    verdict="FAILED ($own_failed)"
  fi
  passed=$((passed + own_passed))
  failed=$((failed + own_failed))
}

# With a cargo-deny of exactly this version, since its findings change from one to the next.
deny() {
  local binary=cargo-deny
  if [ "$("$binary" --version 2>/dev/null)" != "cargo-deny $DENY_VERSION" ]; then
    binary=.tools/cargo-deny-$DENY_VERSION/bin/cargo-deny
    [ -x "$binary" ] || cargo install --quiet --locked --root ".tools/cargo-deny-$DENY_VERSION" \
      --version "$DENY_VERSION" cargo-deny || return
  fi
  "$binary" --config .deny.toml check -D unmatched-skip -D unnecessary-skip bans licenses sources
}

main "$@"
