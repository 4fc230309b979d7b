#!/usr/bin/env bash
# Measures claimgate: next to a service that does nothing and to Envoy's own filter, at every size, in memory and time.
#
#   benches/run.sh                    everything, and writes benches/RESULTS.md; nothing else should run meanwhile
#   benches/run.sh grpc scale         these parts: grpc, envoy, scale, memory, steps, allocations
#   benches/run.sh --quick [PART…]    whether everything runs and every answer is right; figures are shown, worth nothing
#
# --rounds N and --seconds S say how often and how long. Needs Linux and what the tests need (deploy/prerequisites.sh); puts
# Envoy into .tools/ when it is not there yet. The first run signs 240 000 tokens (minutes) and keeps them below the target
# directory, 180 MB, for 30 days. tests/run.sh calls it with --quick.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
profile=quick-release
parts=()
options=()
while [ $# -gt 0 ]; do
  case $1 in
    --quick) profile=dev options+=("$1") ;;
    --rounds | --seconds) options+=("$1" "${2:?$1 needs a number}") && shift ;;
    grpc | envoy | scale | memory | steps | allocations) parts+=("$1") ;;
    *) sed -n '2,/^set /{/^#/s/^# \{0,1\}//p}' "$0" >&2 && exit 64 ;;
  esac
  shift
done
[ ${#parts[@]} -gt 0 ] || parts=(grpc envoy scale memory steps allocations)

deploy/prerequisites.sh
bench() {
  cargo bench --locked --quiet --profile "$profile" --bench "$@"
}

suite=()
for part in "${parts[@]}"; do
  [ "$part" = allocations ] || suite+=("$part")
done
if [ ${#suite[@]} -gt 0 ]; then
  [[ " ${suite[*]} " != *" envoy "* ]] || options+=(--envoy "$(deploy/install-envoy.sh)")
  bench suite -- "${options[@]}" "${suite[@]}"
fi
if [[ " ${parts[*]} " == *" allocations "* ]]; then
  [ "$profile" = quick-release ] || quick=--quick
  bench allocations -- ${quick:-}
fi
