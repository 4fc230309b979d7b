{{/* Names, labels, and the configuration that claimgate reads. */}}

{{- define "claimgate.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 50 | trimSuffix "-" }}
{{- end }}

{{/* Short enough for the suffixes that are put to it. */}}
{{- define "claimgate.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" }}
{{- else }}
{{- $name := include "claimgate.name" . }}
{{- ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) | trunc 50 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "claimgate.selectorLabels" -}}
app.kubernetes.io/name: {{ include "claimgate.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "claimgate.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "claimgate.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* metadata of everything: call with (list $ "suffix" labels annotations). */}}
{{- define "claimgate.metadata" -}}
{{- $root := index . 0 -}}
name: {{ include "claimgate.fullname" $root }}{{ index . 1 }}
namespace: {{ $root.Release.Namespace }}
labels:
  {{- include "claimgate.labels" $root | nindent 2 }}
  {{- with index . 2 }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with merge (dict) (index . 3 | default dict) $root.Values.commonAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "claimgate.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "claimgate.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "claimgate.image" -}}
{{- $image := .Values.image }}
{{- with $image.registry }}{{ . }}/{{ end }}{{ $image.repository }}
{{- if $image.digest }}@{{ $image.digest }}{{ else }}:{{ default .Chart.AppVersion $image.tag }}{{ end }}
{{- end }}

{{/* "true" where the chart writes the configuration itself. */}}
{{- define "claimgate.ownsConfig" -}}
{{- if not (or .Values.existingConfigMap .Values.existingSecret) }}true{{ end }}
{{- end }}

{{/* Below the volume and not the volume itself: claimgate makes it for its user alone, a volume belongs to its group. */}}
{{- define "claimgate.stateDir" -}}
{{ .Values.persistence.mountPath }}/state
{{- end }}

{{/* "true" where claimgate is asked through a Unix socket. */}}
{{- define "claimgate.socket" -}}
{{- if and (eq .Values.type "sidecar") .Values.sidecar.socketPath }}true{{ end }}
{{- end }}

{{- define "claimgate.tlsSecretName" -}}
{{- $made := default (printf "%s-tls" (include "claimgate.fullname" .)) .Values.certManager.certSpec.secretName }}
{{- tpl (default $made .Values.tls.existingSecret) . }}
{{- end }}

{{/* listen.tls of claimgate's configuration. */}}
{{- define "claimgate.tls" -}}
{{- $tls := .Values.tls }}
cert_file: {{ $tls.mountPath }}/tls.crt
key_file: {{ $tls.mountPath }}/tls.key
min_version: {{ $tls.minVersion | quote }}
{{- if $tls.clients.verify }}
client_ca_file: {{ $tls.mountPath }}/{{ $tls.clients.ca }}
{{- with $tls.clients.allowedSANs }}
allowed_client_sans:
  {{- tpl (toYaml .) $ | nindent 2 }}
{{- end }}
{{- end }}
{{- end }}

{{/*
The configuration: what was given, and what the chart knows better. Text stays as it is, with its comments; what it leaves
out is put behind it.
*/}}
{{- define "claimgate.config" -}}
{{- $given := .Values.config }}
{{- $text := tpl (kindIs "string" $given | ternary $given (toYaml $given)) . }}
{{- $config := fromYaml $text }}
{{- if hasKey $config "Error" }}
{{- fail (printf "config is no YAML mapping: %s" $config.Error) }}
{{- end }}
{{- if not (and $config.issuers $config.rules) }}
{{- fail "config.issuers and config.rules are needed (or existingConfigMap, or existingSecret): whose tokens are accepted, and for what. deploy/claimgate.example.yaml shows every key" }}
{{- end }}
{{- if and (kindIs "map" $given) (contains "\"true\":" (toJson $given)) }}
{{- fail "config: Helm reads a key that is called y as true. Write \"y\" in an inline EC key, or the configuration as text" }}
{{- end }}
{{- $host := eq .Values.type "sidecar" | ternary "127.0.0.1" "0.0.0.0" }}
{{- $grpc := include "claimgate.socket" . | empty | ternary (printf "%s:%d" $host (int .Values.ports.grpc)) (printf "unix://%s" .Values.sidecar.socketPath) }}
{{- $admin := printf "0.0.0.0:%d" (int .Values.ports.admin) }}
{{- $listen := dict "grpc" $grpc "admin" $admin }}
{{- if .Values.tls.enabled }}
{{- $tls := include "claimgate.tls" . | fromYaml }}
{{- $_ := set $listen "tls" $tls }}
{{- if .Values.tls.admin }}
{{- $_ := set $listen "admin_tls" (pick $tls "cert_file" "key_file" "min_version") }}
{{- end }}
{{- end }}
{{- $added := dict }}
{{- if and (kindIs "map" $given) $config.listen }}
{{- $_ := set $config "listen" (merge (dict) $config.listen $listen) }}
{{- else if not (hasKey $config "listen") }}
{{- $_ := set $added "listen" $listen }}
{{- end }}
{{- if and .Values.persistence.enabled (not (hasKey $config "state_dir")) }}
{{- $_ := set $added "state_dir" (include "claimgate.stateDir" .) }}
{{- end }}
{{- if and .Values.tls.enabled (kindIs "string" $given) $config.listen (not $config.listen.tls) }}
{{- fail "tls.enabled: the text in config has a listen without tls, and the chart leaves text as it is. Leave listen out of it, or put tls into it" }}
{{- end }}
{{- kindIs "string" $given | ternary $text (toYaml $config) | trimSuffix "\n" }}
{{- with $added }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* What no schema can say. */}}
{{- define "claimgate.validate" -}}
{{- if and .Values.existingConfigMap .Values.existingSecret }}
{{- fail "existingConfigMap and existingSecret: one of the two" }}
{{- end }}
{{- if and .Values.config (not (include "claimgate.ownsConfig" .)) }}
{{- fail "config is ignored where existingConfigMap or existingSecret is set: one of the three" }}
{{- end }}
{{- $drain := add .Values.drain.delaySeconds .Values.drain.deadlineSeconds }}
{{- if le (int .Values.terminationGracePeriodSeconds) (int $drain) }}
{{- fail (printf "terminationGracePeriodSeconds: %d is not more than drain.delaySeconds and drain.deadlineSeconds together (%d): the drain would be cut short" (int .Values.terminationGracePeriodSeconds) (int $drain)) }}
{{- end }}
{{- $pdb := .Values.podDisruptionBudget }}
{{- if and $pdb.enabled (not (kindIs "invalid" $pdb.minAvailable)) (not (kindIs "invalid" $pdb.maxUnavailable)) }}
{{- fail "podDisruptionBudget: minAvailable or maxUnavailable; set the other one to null" }}
{{- end }}
{{- $state := .Values.persistence }}
{{- $several := or (eq .Values.type "daemonset") .Values.autoscaling.enabled (gt (int .Values.replicaCount) 1) }}
{{- if and $state.enabled $state.claim.enabled (not $state.existingClaim) $several (not (has "ReadWriteMany" $state.claim.accessModes)) }}
{{- fail "persistence.claim.accessModes: several pods share the claim, that needs ReadWriteMany (or replicaCount: 1, or the emptyDir)" }}
{{- end }}
{{- if and .Values.autoscaling.enabled (ne .Values.type "deployment") }}
{{- fail "autoscaling is for type: deployment" }}
{{- end }}
{{- if and .Values.sidecar.socketPath (ne .Values.type "sidecar") }}
{{- fail "sidecar.socketPath is for type: sidecar" }}
{{- end }}
{{- if and .Values.tls.enabled (eq .Values.type "sidecar") }}
{{- fail "tls: in one pod there is no network between Envoy and claimgate. sidecar.socketPath keeps others in the pod away" }}
{{- end }}
{{- if and .Values.tls.enabled (not .Values.tls.existingSecret) (not .Values.certManager.certSpec) }}
{{- fail "tls.enabled: whose certificate? tls.existingSecret or certManager.certSpec is needed" }}
{{- end }}
{{- if and .Values.certManager.certSpec (or (not .Values.tls.enabled) .Values.tls.existingSecret) }}
{{- fail "certManager.certSpec: its certificate is not used; it takes tls.enabled, and no tls.existingSecret" }}
{{- end }}
{{- if and (or .Values.tls.clients.allowedSANs .Values.tls.admin .Values.tls.clients.verify) (not .Values.tls.enabled) }}
{{- fail "tls.admin and tls.clients take tls.enabled" }}
{{- end }}
{{- if and .Values.tls.clients.allowedSANs (not .Values.tls.clients.verify) }}
{{- fail "tls.clients.allowedSANs: names that nobody has proved mean nothing; it takes tls.clients.verify" }}
{{- end }}
{{- end }}
