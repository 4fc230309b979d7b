#!/usr/bin/env bash
# Prints a token for compose.yaml: `token.sh [SUBJECT]`, good for an hour. On its first run it makes the key that the tokens are
# signed with, and puts its public half where claimgate looks. Needs openssl. No identity provider: whoever can read
# keys/private.pem can be anybody.
set -euo pipefail

directory=$(dirname "${BASH_SOURCE[0]}")
private=$directory/keys/private.pem
public=$directory/claimgate/keys/public.pem

base64url() { openssl base64 -A | tr '+/' '-_' | tr -d '='; }

if ! [ -f "$public" ]; then
  mkdir -p "$directory/keys" "$directory/claimgate/keys"
  chmod 700 "$directory/keys"
  chmod 755 "$directory/claimgate" "$directory/claimgate/keys"
  openssl ecparam -name prime256v1 -genkey -noout -out "$private"
  # By a rename, since claimgate watches.
  openssl ec -in "$private" -pubout -out "$public.new" 2>/dev/null
  chmod 644 "$public.new"
  mv "$public.new" "$public"
fi

now=$(date +%s)
header='{"alg":"ES256","typ":"JWT"}'
payload=$(printf '{"iss":"https://token.sh.invalid","aud":"orders","sub":"%s","iat":%d,"exp":%d}' \
  "${1:-alice}" "$now" "$((now + 3600))")
signed=$(printf '%s' "$header" | base64url).$(printf '%s' "$payload" | base64url)
# openssl writes the two numbers of a signature as DER, a JWS has them as 32 bytes each (RFC 7518, 3.4).
signature=$(printf '%s' "$signed" | openssl dgst -sha256 -sign "$private" | openssl asn1parse -inform DER |
  sed -n 's/.*INTEGER *:\(.*\)/\1/p' | while read -r number; do printf '%64s' "$number" | tr ' ' 0; done |
  sed 's/../\\x&/g')
# shellcheck disable=SC2059  # the bytes are the format
printf '%s.%s\n' "$signed" "$(printf "$signature" | base64url)"
