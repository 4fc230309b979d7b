{{/* The container and its volumes: the same in a Deployment, in a DaemonSet and beside an Envoy. */}}

{{- define "claimgate.container" -}}
name: claimgate
image: {{ include "claimgate.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
args:
  - serve
  - --config=/etc/claimgate/{{ include "claimgate.ownsConfig" . | empty | ternary .Values.existingKey "claimgate.yaml" }}
  - --log-level={{ .Values.log.level }}
  - --log-format={{ .Values.log.format }}
  {{- if not (kindIs "invalid" .Values.log.sample) }}
  - --log-sample={{ int .Values.log.sample }}
  {{- end }}
  - --drain-delay={{ .Values.drain.delaySeconds }}
  - --drain-deadline={{ .Values.drain.deadlineSeconds }}
  {{- range .Values.extraArgs }}
  - {{ tpl . $ | quote }}
  {{- end }}
{{- with .Values.extraEnv }}
env:
  {{- tpl (toYaml .) $ | nindent 2 }}
{{- end }}
{{- with .Values.envFrom }}
envFrom:
  {{- tpl (toYaml .) $ | nindent 2 }}
{{- end }}
ports:
  {{- if not (include "claimgate.socket" .) }}
  - name: grpc
    containerPort: {{ .Values.ports.grpc }}
  {{- end }}
  - name: admin
    containerPort: {{ .Values.ports.admin }}
{{- range $name, $path := dict "startupProbe" "/livez" "livenessProbe" "/livez" "readinessProbe" "/readyz" }}
{{- $probe := index $.Values $name }}
{{- if $probe.enabled }}
{{ $name }}:
  httpGet: {path: {{ $path }}, port: admin{{ if $.Values.tls.admin }}, scheme: HTTPS{{ end }}}
  {{- toYaml (omit $probe "enabled") | nindent 2 }}
{{- end }}
{{- end }}
{{- with .Values.lifecycle }}
lifecycle:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  {{- $context := dict }}
  {{- /* Beside an Envoy the pod's settings are not ours, so they are set for the container. Not by `merge`: to it false is nothing. */}}
  {{- if eq .Values.type "sidecar" }}
  {{- $context = omit .Values.podSecurityContext "fsGroup" "fsGroupChangePolicy" }}
  {{- end }}
  {{- range $name, $value := .Values.securityContext }}
  {{- $_ := set $context $name $value }}
  {{- end }}
  {{- toYaml $context | nindent 2 }}
{{- with .Values.resources }}
resources:
  {{- toYaml . | nindent 2 }}
{{- end }}
volumeMounts:
  # The directory, and not the one file in it: only so does an update reach the pod.
  - name: claimgate-config
    mountPath: /etc/claimgate
    readOnly: true
  {{- if .Values.persistence.enabled }}
  - name: claimgate-state
    mountPath: {{ .Values.persistence.mountPath }}
  {{- end }}
  {{- if .Values.tls.enabled }}
  - name: claimgate-tls
    mountPath: {{ .Values.tls.mountPath }}
    readOnly: true
  {{- end }}
  {{- if include "claimgate.socket" . }}
  - name: claimgate-socket
    mountPath: {{ dir .Values.sidecar.socketPath }}
  {{- end }}
  {{- with .Values.extraVolumeMounts }}
  {{- tpl (toYaml .) $ | nindent 2 }}
  {{- end }}
{{- end }}

{{- /* With names that no other volume of a pod has: beside an Envoy it is somebody else's pod. */}}
{{- define "claimgate.volumes" -}}
- name: claimgate-config
  {{- if .Values.existingSecret }}
  secret:
    secretName: {{ tpl .Values.existingSecret . }}
    defaultMode: 0440
  {{- else }}
  configMap:
    name: {{ tpl (default (include "claimgate.fullname" .) .Values.existingConfigMap) . }}
    defaultMode: 0444
  {{- end }}
{{- if .Values.persistence.enabled }}
- name: claimgate-state
  {{- if and (or .Values.persistence.existingClaim .Values.persistence.claim.enabled) (ne .Values.type "sidecar") }}
  persistentVolumeClaim:
    claimName: {{ tpl (default (printf "%s-state" (include "claimgate.fullname" .)) .Values.persistence.existingClaim) . }}
  {{- else }}
  emptyDir:
    sizeLimit: {{ .Values.persistence.sizeLimit }}
  {{- end }}
{{- end }}
{{- if .Values.tls.enabled }}
- name: claimgate-tls
  secret:
    secretName: {{ include "claimgate.tlsSecretName" . }}
    # For root and the group of the process: claimgate does not use a key that everybody can read.
    defaultMode: 0440
{{- end }}
{{- if include "claimgate.socket" . }}
- name: claimgate-socket
  emptyDir:
    medium: Memory
    sizeLimit: 1Mi
{{- end }}
{{- with .Values.extraVolumes }}
{{ tpl (toYaml .) $ }}
{{- end }}
{{- end }}

{{- define "claimgate.podTemplate" -}}
metadata:
  labels:
    {{- include "claimgate.labels" . | nindent 4 }}
    {{- with .Values.podLabels }}
    {{- tpl (toYaml .) $ | nindent 4 }}
    {{- end }}
  {{- $restart := and .Values.restartOnConfigChange (include "claimgate.ownsConfig" .) }}
  {{- if or $restart .Values.podAnnotations }}
  annotations:
    {{- if $restart }}
    checksum/config: {{ include "claimgate.config" . | sha256sum }}
    {{- end }}
    {{- with .Values.podAnnotations }}
    {{- tpl (toYaml .) $ | nindent 4 }}
    {{- end }}
  {{- end }}
spec:
  serviceAccountName: {{ include "claimgate.serviceAccountName" . }}
  automountServiceAccountToken: {{ .Values.serviceAccount.automount }}
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ .Values.terminationGracePeriodSeconds }}
  {{- with .Values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  securityContext:
    {{- toYaml .Values.podSecurityContext | nindent 4 }}
  {{- with .Values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- with .Values.initContainers }}
  initContainers:
    {{- tpl (toYaml .) $ | nindent 4 }}
  {{- end }}
  containers:
    - {{- include "claimgate.container" . | nindent 6 }}
    {{- with .Values.extraContainers }}
    {{- tpl (toYaml .) $ | nindent 4 }}
    {{- end }}
  volumes:
    {{- include "claimgate.volumes" . | nindent 4 }}
  {{- with .Values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.affinity }}
  affinity:
    {{- tpl (toYaml .) $ | nindent 4 }}
  {{- end }}
  {{- if and .Values.topologySpreadConstraints (eq .Values.type "deployment") }}
  topologySpreadConstraints:
    {{- $own := dict "labelSelector" (dict "matchLabels" (include "claimgate.selectorLabels" . | fromYaml)) }}
    {{- range .Values.topologySpreadConstraints }}
    - {{- toYaml (merge (dict) . $own) | nindent 6 }}
    {{- end }}
  {{- end }}
  {{- with .Values.hostAliases }}
  hostAliases:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.dnsConfig }}
  dnsConfig:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}
