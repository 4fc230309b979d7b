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
{{- $grpc := printf "%s:%d" $host (int .Values.ports.grpc) }}
{{- $admin := printf "0.0.0.0:%d" (int .Values.ports.admin) }}
{{- $listen := dict "grpc" $grpc "admin" $admin }}
{{- $added := dict }}
{{- if and (kindIs "map" $given) $config.listen }}
{{- $_ := set $config "listen" (merge (dict) $config.listen $listen) }}
{{- else if not (hasKey $config "listen") }}
{{- $_ := set $added "listen" $listen }}
{{- end }}
{{- if and .Values.persistence.enabled (not (hasKey $config "state_dir")) }}
{{- $_ := set $added "state_dir" (include "claimgate.stateDir" .) }}
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
{{- end }}
