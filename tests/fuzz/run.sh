#!/usr/bin/env bash
# Fuzzes every target for so many seconds, with the corpora of the repository: `tests/fuzz/run.sh 20`; with names after
# it, only those targets. Prints the executions of each and, last, what tests/run.sh counts. `--seeds` writes
# the corpora instead.
#
# libFuzzer without sanitizers, on the stable toolchain: what is looked for is panics, broken promises, memory and time
# without bounds, in code without `unsafe`. Built for a named target, so that build scripts are not instrumented; the C
# of aws-lc is compiled as always. Needs a C++ compiler besides. Honours CARGO_TARGET_DIR.
#
# The same inputs in the same order each time, so that a run says something of the change it is run for; FUZZ_SEED=0 has
# them made up anew.
#
# What a crash leaves behind is in the target directory, as is what fuzzing has learned: it goes on from there.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
fuzz=$root/tests/fuzz
target_dir=${CARGO_TARGET_DIR:-$root/target}/fuzz
host=$(rustc -vV | sed -n 's/^host: //p')
readonly TARGETS="token jwks check_request forward_auth configuration path locations revocation redis"

# As cargo-fuzz has them: a counter for each edge, and what is compared with what.
readonly COVERAGE="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares --cfg fuzzing -Ccodegen-units=16"

main() {
  if ! command -v "${CXX:-c++}" >/dev/null 2>&1; then
    printf 'missing: a C++ compiler (c++), for libFuzzer\n         Debian, Ubuntu: apt-get install g++\n' >&2
    exit 1
  fi
  # The versions that the service is built with; cargo adds the few that it does not have.
  if [ "$root/Cargo.lock" -nt "$fuzz/Cargo.lock" ]; then
    cp "$root/Cargo.lock" "$fuzz/Cargo.lock"
  fi
  RUSTFLAGS=$COVERAGE cargo build --quiet --release --target "$host" --target-dir "$target_dir" \
    --manifest-path "$fuzz/Cargo.toml"
  if [ "${1:-}" = --seeds ]; then
    exec "$target_dir/$host/release/seeds"
  fi
  local seconds=${1:?how many seconds for each target} passed=0 failed=0 all=0 target
  shift
  for target in ${*:-$TARGETS}; do
    if fuzz "$target" "$seconds"; then
      passed=$((passed + 1))
    else
      failed=$((failed + 1))
    fi
  done
  printf 'counted: %s executions of fuzz targets\n' "$all"
  printf '%s passed, %s failed\n' "$passed" "$failed"
  [ "$failed" -eq 0 ]
}

# fuzz TARGET SECONDS: quiet unless it finds something. Adds to `all`.
fuzz() {
  local target=$1 seconds=$2 learned=$target_dir/corpus/$1 found=$target_dir/found/$1 log status=0 executions
  mkdir -p "$learned" "$found"
  log=$(mktemp)
  # -timeout and -rss_limit_mb are bounds on one input, which none comes near.
  "$target_dir/$host/release/$target" -max_total_time="$seconds" -seed="${FUZZ_SEED:-1}" -timeout=10 -rss_limit_mb=1024 -max_len=8192 \
    -print_final_stats=1 -dict="$fuzz/dictionaries/$target.dict" -artifact_prefix="$found/" \
    "$learned" "$fuzz/corpus/$target" >"$log" 2>&1 || status=$?
  executions=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
  # A target that does not get to run has found nothing either.
  if [ "$status" -eq 0 ] && [ "${executions:-0}" -lt 100 ]; then
    status=1
  fi
  if [ "$status" -ne 0 ]; then
    tail -n 60 "$log"
    printf 'fuzz %s: FAILED after %s executions; the input is in %s\n' "$target" "${executions:-no}" "$found"
  else
    printf 'fuzz %s: %s executions in %s s\n' "$target" "$executions" "$seconds"
    all=$((all + executions))
  fi
  rm -f "$log"
  return "$status"
}

main "$@"
