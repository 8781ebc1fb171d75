{{- /* How auth, rooms, edge and web are run: (dict "root" $ "name" "edge" "c" its values). */}}
{{- define "parley.deployment" -}}
{{- $selector := include "parley.selector" (dict "root" .root "component" .name) -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  {{- include "parley.metadata" (dict "root" .root "component" .name "suffix" .name) | nindent 2 }}
spec:
  {{- if not .c.autoscaling.enabled }}
  replicas: {{ .c.replicas }}
  {{- end }}
  revisionHistoryLimit: 5
  {{- with .c.minReadySeconds }}
  minReadySeconds: {{ . }}
  {{- end }}
  selector:
    matchLabels:
      {{- $selector | nindent 6 }}
  strategy:
    {{- toYaml .c.strategy | nindent 4 }}
  template:
    metadata:
      labels:
        {{- include "parley.podLabels" (dict "root" .root "component" .name "c" .c) | nindent 8 }}
      {{- with merge (include "parley.urlChecksums" . | fromYaml) .c.podAnnotations .root.Values.commonAnnotations }}
      annotations:
        {{- toYaml . | nindent 8 }}
      {{- end }}
    spec:
      {{- include "parley.withExtra" (dict "yaml" (include "parley.workloadPod" .) "extra" .c.extraPodSpec) | nindent 6 }}
{{- end }}

{{- define "parley.workloadPod" -}}
{{ include "parley.pod" . }}
{{- include "parley.spread" . }}
{{- $needed := add .c.drain.delaySeconds .c.drain.spreadSeconds .c.drain.closeSeconds 15 | int }}
{{- $grace := ternary $needed (.c.terminationGracePeriodSeconds | int) (kindIs "invalid" .c.terminationGracePeriodSeconds) }}
{{- if lt $grace $needed }}
{{- fail (printf "%s.terminationGracePeriodSeconds: %d s are less than its drain takes, %d s (delaySeconds + spreadSeconds + closeSeconds + 15): pods would be killed with people on them" .name $grace $needed) }}
{{- end }}
terminationGracePeriodSeconds: {{ $grace }}
{{- with .c.initContainers }}
initContainers:
  {{- toYaml . | nindent 2 }}
{{- end }}
containers:
  - {{ include "parley.withExtra" (dict "yaml" (include "parley.workloadContainer" .) "extra" .c.extraContainer) | nindent 4 | trim }}
  {{- with .c.sidecars }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- $files := include "parley.files" . }}
{{- if or (trim $files) .c.extraVolumes }}
volumes:
  {{- if trim $files }}
  - name: secrets
    projected:
      defaultMode: 0440
      sources:
        {{- trim $files | nindent 8 }}
  {{- end }}
  {{- with .c.extraVolumes }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}
{{- end }}

{{- define "parley.workloadContainer" -}}
name: {{ .name }}
{{ include "parley.componentImage" . }}
ports:
  - {name: http, containerPort: 8080}
  {{- if has .name (list "auth" "rooms") }}
  - {name: internal, containerPort: 8081}
  {{- end }}
  - {name: admin, containerPort: 9090}
{{- include "parley.env" (merge (dict "own" (include "parley.ownEnv" .)) .) }}
{{- with .c.extraEnvFrom }}
envFrom:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{ include "parley.probes" . }}
{{- if and (ne .name "edge") .c.drain.delaySeconds (semverCompare ">=1.30-0" .root.Capabilities.KubeVersion.Version) }}
lifecycle:
  preStop: {sleep: {seconds: {{ .c.drain.delaySeconds }}}}
{{- end }}
resources:
  {{- toYaml .c.resources | nindent 2 }}
securityContext:
  {{- toYaml .c.securityContext | nindent 2 }}
{{- $mounts := .c.extraVolumeMounts }}
{{- if trim (include "parley.files" .) }}
{{- $mounts = prepend $mounts (dict "name" "secrets" "mountPath" "/etc/parley" "readOnly" true) }}
{{- end }}
{{- with $mounts }}
volumeMounts:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- /* What a service is told of the others, and of how to stop. */}}
{{- define "parley.ownEnv" -}}
{{- $fullname := include "parley.fullname" .root }}
{{- if ne .name "web" }}
- {name: PARLEY_SERVICE_CREDENTIAL_FILE, value: /etc/parley/service-credential}
{{- with .root.Values.publicURL }}
- {name: PARLEY_PUBLIC_URL, value: {{ trimSuffix "/" . | quote }}}
{{- end }}
{{- end }}
{{- if has .name (list "rooms" "edge") }}
- {name: PARLEY_AUTH_URL, value: "http://{{ $fullname }}-auth-pods:8081"}
{{- end }}
{{- if eq .name "edge" }}
- {name: PARLEY_ROOMS_URL, value: "http://{{ $fullname }}-rooms-pods:8081"}
- {name: PARLEY_DRAIN_DELAY, value: {{ .c.drain.delaySeconds }}s}
- {name: PARLEY_DRAIN_SPREAD, value: {{ .c.drain.spreadSeconds }}s}
- {name: PARLEY_DRAIN_GRACE, value: {{ add .c.drain.delaySeconds .c.drain.spreadSeconds .c.drain.closeSeconds }}s}
{{- end }}
{{- if has .name (list "auth" "rooms") }}
{{- include "parley.postgresEnv" (dict "root" .root "service" .name "variable" (printf "PARLEY_%s_DATABASE" (upper .name))) }}
{{- end }}
{{- if ne .name "web" }}
{{- include "parley.redisEnv" .root }}
{{- end }}
{{- if eq .name "auth" }}
{{- with include "parley.administrator" .root }}
- {name: PARLEY_ADMIN_USER, value: {{ . | quote }}}
- {name: PARLEY_ADMIN_PASSWORD_FILE, value: /etc/parley/administrator-password}
{{- end }}
{{- end }}
{{- end }}

{{- /* URLs that stand in the values end in Secrets of the chart's; whoever reads one starts anew when it changes. */}}
{{- define "parley.urlChecksums" -}}
{{- if has .name (list "auth" "rooms") }}
{{- with (include "parley.postgres" (dict "root" .root "service" .name) | fromYaml).url }}
checksum/database: {{ sha256sum . }}
{{- end }}
{{- end }}
{{- if ne .name "web" }}
{{- with .root.Values.redis.external.url }}
checksum/redis: {{ sha256sum . }}
{{- end }}
{{- end }}
{{- end }}

{{- /* The files below /etc/parley, as sources of a projected volume. */}}
{{- define "parley.files" -}}
{{- $fullname := include "parley.fullname" .root }}
{{- if ne .name "web" }}
{{- with .root.Values.serviceCredential }}
{{ include "parley.file" (dict "secret" (.existingSecret | default (printf "%s-credential" $fullname)) "key" .key "path" "service-credential") }}
{{- end }}
{{- include "parley.redisFiles" .root }}
{{- end }}
{{- if has .name (list "auth" "rooms") }}
{{- include "parley.postgresFiles" (dict "root" .root "service" .name) }}
{{- end }}
{{- if and (eq .name "auth") (include "parley.administrator" .root) }}
{{- with .root.Values.administrator }}
{{ include "parley.file" (dict "secret" (.existingSecret | default (printf "%s-administrator" $fullname)) "key" .passwordKey "path" "administrator-password") }}
{{- end }}
{{- end }}
{{- end }}

{{- /* The first administrator's name, if there is to be one. */}}
{{- define "parley.administrator" -}}
{{- .Values.administrator.username | default (ternary "admin" "" .Values.evaluation.enabled) }}
{{- end }}
