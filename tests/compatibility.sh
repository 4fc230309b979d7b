#!/usr/bin/env bash
# Runs the end-to-end tests that start an Envoy with each version of it that deploy/install-envoy.sh has, and keeps the table
# of what passed in deploy/docs/compatibility.md. It is for whoever adds a version or changes what Envoy is told.
#
#   tests/compatibility.sh           all of them, and writes the table
#   tests/compatibility.sh --check   all of them, and compares the table, which is not changed
#   tests/compatibility.sh --oldest  that one alone, and compares its row; so does tests/run.sh
#
# Needs what tests/run.sh needs for its end-to-end tests; puts Envoys and Redis into .tools/. Prints with how many nothing
# failed, as tests/run.sh adds it up. Ends with 1 when the table is another than the page's. What fails in it is explained beneath it: tests/documents looks whether it is.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
readonly PAGE=deploy/docs/compatibility.md
readonly BEGIN='<!-- begin: written by tests/compatibility.sh -->'
readonly END='<!-- end: written by tests/compatibility.sh -->'

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
log=$scratch/log
table=$scratch/table

main() {
  local mode=${1:-} versions version all status=0
  case $mode in
    "" | --check | --oldest) ;;
    *) sed -n '2,/^set /{/^#/s/^# \{0,1\}//p}' "$0" >&2 && exit 64 ;;
  esac
  for mark in "$BEGIN" "$END"; do
    grep -qxF -e "$mark" "$PAGE" || give_up "$PAGE lacks the line $mark"
  done
  versions=$(deploy/install-envoy.sh --versions)
  all=$(wc -l <<<"$versions")
  [ "$mode" != --oldest ] || versions=${versions##*$'\n'}
  # As of tests/redis/install.sh.
  deploy/install-redis.sh 7 >/dev/null
  # Without a list, a module that is added is run as well. What only gives the demo an Envoy does not start one.
  mapfile -t modules < <(grep -l 'Envoy::start(' tests/e2e/*.rs | xargs -n 1 basename -s .rs)
  heading >"$table"
  for version in $versions; do
    run "$version"
  done

  printf '\n'
  cat "$table"
  case $mode in
    "") write ;;
    --check) kept | diff -u --label "$PAGE" --label now - "$table" || status=1 ;;
    --oldest) grep -qxF -e "$(tail -n 1 "$table")" <<<"$(kept)" || status=1 ;;
  esac
  told "$all"
  [ "$status" -eq 0 ] || printf '\n%s has another table; tests/compatibility.sh writes it anew.\n' "$PAGE"
  return "$status"
}

heading() {
  printf 'Modules of tests/e2e: %s.\n\n' "$(printf ', `%s`' "${modules[@]}" | cut -c 3-)"
  printf '| Envoy | passed | failed | what failed |\n| --- | ---: | ---: | --- |\n'
}

# run VERSION: adds a row to the table.
run() {
  local version=$1 begun=$SECONDS result passed failed said what
  printf '\n== Envoy %s\n' "$version"
  deploy/install-envoy.sh "$version" >/dev/null
  CLAIMGATE_TEST_ENVOY_VERSION=$version cargo test --locked --test e2e -- "${modules[@]/%/::}" 2>&1 | tee "$log" || true
  result=$(sed -nE 's/^test result: .* ([0-9]+) passed; ([0-9]+) failed.*/\1 \2/p' "$log")
  read -r passed failed <<<"$result"
  [ "${passed:-0}" -gt 0 ] || [ "${failed:-0}" -gt 0 ] || give_up "the tests with Envoy $version did not run"
  # In Envoy's own words, so that no row is about another one.
  said=$(grep -oE 'run by Envoy [0-9.]+' "$log" | sort -u || true)
  [ "$said" = "run by Envoy $version" ] || { [ -z "$said" ] && [ "$failed" -gt 0 ]; } ||
    give_up "it was to be Envoy $version: ${said:-none said which it was}"
  what=$(sed -nE 's/^    ([a-z0-9_]+::[a-z0-9_:]+)$/`\1`/p' "$log" | sort -u | paste -sd, - | sed 's/,/, /g')
  printf '| %s | %s | %s | %s |\n' "$version" "$passed" "$failed" "${what:-nothing}" >>"$table"
  printf '== Envoy %s: %s passed, %s failed, after %s s\n' "$version" "$passed" "$failed" "$((SECONDS - begun))"
}

# told ALL: those of the table with which nothing failed, out of so many that there are.
told() {
  local passing
  passing=$(sed -nE 's/^\| ([0-9.]+) \| [0-9]+ \| 0 \| .*/\1/p' "$table")
  printf '\ncounted: %s Envoy versions passed: %s of the %s in %s\n' \
    "$(wc -w <<<"$passing")" "$(paste -sd, - <<<"$passing" | sed 's/,/, /g')" "$1" "$PAGE"
}

# What the page has between its marks.
kept() {
  awk -v begin="$BEGIN" -v end="$END" '$0 == end { inside = 0 } inside { print } $0 == begin { inside = 1 }' "$PAGE"
}

write() {
  awk -v begin="$BEGIN" -v end="$END" -v table="$table" '
    $0 == end { inside = 0 }
    !inside { print }
    $0 == begin { inside = 1; while ((getline line < table) > 0) print line }' "$PAGE" >"$scratch/page"
  cat "$scratch/page" >"$PAGE"
  printf '\nwritten: %s\n' "$PAGE"
}

give_up() {
  printf 'compatibility: %s\n' "$*" >&2
  exit 1
}

main "$@"
