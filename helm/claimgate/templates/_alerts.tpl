{{/*
The alerts, on metrics that claimgate has (tests/manifests holds the names against the code). Each says what it means
for requests and where to look; runbooks are in deploy/runbooks/.
*/}}
{{- define "claimgate.alerts" -}}
{{- $pods := printf "namespace=%q,pod=~%q" .Release.Namespace (printf "%s-.*" (include "claimgate.fullname" .)) }}
{{- $of := default $pods .Values.prometheusRule.selector }}
{{- $limits := .Values.prometheusRule.thresholds }}
- alert: ClaimgateAbsent
  expr: absent(claimgate_build_info{ {{- $of -}} })
  for: 5m
  severity: critical
  summary: No claimgate is scraped
  description: Either none runs, and every request is answered 503, or Prometheus does not reach the admin port.
- alert: ClaimgateNoUsableKeys
  # A source that was taken out of the configuration has no keys either, but nobody reads it any more.
  expr: sum by (namespace, pod, issuer) (claimgate_jwks_keys{ {{- $of -}} ,state="usable"}) == 0 and sum by (namespace, pod, issuer) (increase(claimgate_jwks_refresh_total{ {{- $of -}} }[10m])) > 0
  for: 1m
  severity: critical
  summary: {{ `"{{ $labels.pod }} has no key of issuer {{ $labels.issuer }}"` }}
  description: Its tokens are answered 503, keys_unavailable. /status on the admin port says what each source answers.
- alert: ClaimgateAnswersUnavailable
  expr: sum by (namespace, pod, reason) (rate(claimgate_checks_total{ {{- $of -}} ,reason=~"keys_unavailable|revocation_stale|overloaded|internal"}[5m])) > 0
  for: 2m
  severity: critical
  summary: {{ `"{{ $labels.pod }} answers 503: {{ $labels.reason }}"` }}
  description: Requests fail for a reason of claimgate's and not of the caller's.
- alert: ClaimgateKeysStale
  expr: claimgate_jwks_stale{ {{- $of -}} } == 1
  for: 15m
  severity: warning
  summary: {{ `"{{ $labels.pod }} works with old keys of issuer {{ $labels.issuer }}, source {{ $labels.source }}"` }}
  description: The source has not answered well in time. Tokens are still verified, with the last good keys, until refresh.max_stale.
- alert: ClaimgateKeysNearlyTooOld
  expr: claimgate_jwks_stale{ {{- $of -}} } == 1 and time() - claimgate_jwks_last_success_timestamp_seconds{ {{- $of -}} } > {{ int $limits.staleSeconds }}
  for: 5m
  severity: critical
  summary: {{ `"{{ $labels.pod }} soon gives up the keys of issuer {{ $labels.issuer }}, source {{ $labels.source }}"` }}
  description: {{ printf "No good answer for more than %d s. At refresh.max_stale they are not used any more, and tokens are answered 503." (int $limits.staleSeconds) | quote }}
- alert: ClaimgateRefreshFailing
  expr: sum by (namespace, pod, issuer, source, result) (increase(claimgate_jwks_refresh_total{ {{- $of -}} ,result!~"ok|not_modified"}[15m])) > 3
  for: 15m
  severity: warning
  summary: {{ `"{{ $labels.pod }} cannot read keys of issuer {{ $labels.issuer }}, source {{ $labels.source }}: {{ $labels.result }}"` }}
  description: It goes on with the last good keys and asks again, ever later.
- alert: ClaimgateKeysFromDisk
  expr: claimgate_jwks_origin{ {{- $of -}} ,origin="disk"} == 1
  for: 15m
  severity: warning
  summary: {{ `"{{ $labels.pod }} still has the keys of issuer {{ $labels.issuer }} that it found on disk"` }}
  description: It has not reached the source since it started.
- alert: ClaimgateKeysNotPersisted
  expr: claimgate_jwks_persisted{ {{- $of -}} } == 0
  for: 15m
  severity: warning
  summary: {{ `"{{ $labels.pod }} cannot keep the keys of issuer {{ $labels.issuer }} on disk"` }}
  description: A restart during an outage of the provider would have no keys. The log names the file and the reason.
- alert: ClaimgateKeysSkipped
  expr: claimgate_jwks_skipped_keys{ {{- $of -}} } > 0
  for: 1h
  severity: info
  summary: {{ `"Issuer {{ $labels.issuer }} publishes keys that are not used: {{ $labels.reason }}"` }}
  description: Tokens signed with them are refused. `claimgate jwks fetch` shows which ones and why.
- alert: ClaimgateRevocationsStale
  expr: claimgate_revocation_stale{ {{- $of -}} } == 1
  for: 1m
  severity: critical
  summary: {{ `"{{ $labels.pod }} does not know which tokens are revoked"` }}
  description: Their source was not heard for revocation.max_stale, or never. Tokens are answered 503 or pass unchecked, as revocation.when_stale says. /status names the error.
- alert: ClaimgateRevocationsLost
  expr: increase(claimgate_revocation_epoch_changes_total{ {{- $of -}} }[1h]) > 0 or increase(claimgate_revocation_syncs_total{ {{- $of -}} ,result="no_epoch"}[5m]) > 0
  for: 0m
  severity: critical
  summary: {{ `"The store of the revocations was emptied or replaced, says {{ $labels.pod }}"` }}
  description: What it held before is kept by the pods that knew it, and by no new one. Write it again, or revoke what it may have held as a whole.
- alert: ClaimgateRevocationsSkipped
  expr: claimgate_revocation_skipped_entries{ {{- $of -}} } > 0
  for: 5m
  severity: warning
  summary: {{ `"{{ $labels.pod }} finds revocations that it cannot read"` }}
  description: What they mean to revoke is not revoked. /status names the first mistake.
- alert: ClaimgateUnknownKids
  expr: sum by (namespace, issuer) (rate(claimgate_jwks_unknown_kid_total{ {{- $of -}} ,outcome!="found"}[10m])) > {{ $limits.unknownKidsPerSecond }}
  for: 10m
  severity: warning
  summary: {{ `"Tokens of issuer {{ $labels.issuer }} name keys that it has not published"` }}
  description: Either the issuer signs with a key before it publishes it, or somebody makes tokens up.
- alert: ClaimgateDenialsJump
  expr: sum by (namespace, reason) (rate(claimgate_checks_total{ {{- $of -}} ,decision="deny"}[10m])) / on (namespace) group_left sum by (namespace) (rate(claimgate_checks_total{ {{- $of -}} }[10m])) > {{ $limits.deniedRatio }}
  for: 10m
  severity: warning
  summary: {{ `"{{ $value | humanizePercentage }} of all requests are denied: {{ $labels.reason }}"` }}
  description: The decision log names rule and issuer of each.
- alert: ClaimgateSlow
  expr: histogram_quantile(0.99, sum by (namespace, pod, le) (rate(claimgate_check_duration_seconds_bucket{ {{- $of -}} }[5m]))) > {{ $limits.p99Seconds }}
  for: 10m
  severity: warning
  summary: {{ `"{{ $labels.pod }} takes {{ $value | humanizeDuration }} for one check in a hundred"` }}
  description: Usually too little CPU, or throttling.
- alert: ClaimgateReloadFailed
  expr: increase(claimgate_config_reload_total{ {{- $of -}} ,result="invalid"}[15m]) > 0
  for: 0m
  severity: warning
  summary: {{ `"{{ $labels.pod }} has refused a changed configuration"` }}
  description: The one before is still in force. The log and /status say what is wrong; `claimgate check` does, too.
- alert: ClaimgateCertificateExpires
  expr: claimgate_tls_certificate_expiry_timestamp_seconds{ {{- $of -}} } - time() < 3 * 24 * 3600
  for: 15m
  severity: critical
  summary: {{ `"The certificate of {{ $labels.pod }}, listener {{ $labels.listener }}, ends within three days"` }}
  description: It was not renewed, or the renewed files cannot be used; the log and claimgate_tls_reloads_total say which.
- alert: ClaimgateInDevelopmentProfile
  expr: claimgate_build_info{ {{- $of -}} ,profile="development"} == 1
  for: 5m
  severity: warning
  summary: {{ `"{{ $labels.pod }} runs with profile: development"` }}
  description: What production refuses is accepted, HS256 and keys over plain HTTP among it.
{{- end }}
