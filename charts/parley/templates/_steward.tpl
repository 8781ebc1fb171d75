{{- /*
A pod of steward's: (dict "root" $ "c" its values "component" "check" "arguments" list), and "account", "token", "env", "mounts",
"volumes", "ports" (whether it serves an admin listener).
*/}}
{{- define "parley.stewardPod" -}}
{{ include "parley.pod" (merge (dict "name" "steward") .) }}
{{- with .initContainers }}
initContainers:
  {{- toYaml . | nindent 2 }}
{{- end }}
containers:
  - {{ include "parley.stewardContainer" (merge (dict "container" .component) .) | nindent 4 | trim }}
{{- with .volumes }}
volumes:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "parley.stewardContainer" -}}
name: {{ .container }}
{{ include "parley.componentImage" (dict "root" .root "name" "steward" "c" .c) }}
args:
  {{- toYaml .arguments | nindent 2 }}
{{- with concat (.env | default list) .c.extraEnv }}
env:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- if .ports }}
ports:
  - {name: admin, containerPort: 9090}
startupProbe:
  {{- include "parley.probe" (dict "path" "/livez" "probe" .c.startupProbe) | nindent 2 }}
livenessProbe:
  {{- include "parley.probe" (dict "path" "/livez" "probe" .c.livenessProbe) | nindent 2 }}
readinessProbe:
  {{- include "parley.probe" (dict "path" "/readyz" "probe" .c.readinessProbe) | nindent 2 }}
{{- end }}
resources:
  {{- toYaml .c.resources | nindent 2 }}
securityContext:
  {{- toYaml .c.securityContext | nindent 2 }}
{{- with .mounts }}
volumeMounts:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
