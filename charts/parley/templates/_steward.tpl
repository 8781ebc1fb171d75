{{- /*
A pod of steward's: (dict "root" $ "c" its values "component" "check" "arguments" list), and "account", "token", "env", "mounts",
"volumes", "admin" (whether it serves an admin listener) and "restart" if it has them.
*/}}
{{- define "parley.stewardPod" -}}
{{- include "parley.withExtra" (dict "yaml" (include "parley.stewardPodOnly" .) "extra" .c.extraPodSpec) }}
{{- end }}

{{- define "parley.stewardPodOnly" -}}
{{ include "parley.pod" (merge (dict "name" "steward") .) }}
{{- with .c.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .restart }}
restartPolicy: {{ . }}
{{- end }}
containers:
  - {{ include "parley.stewardContainer" (merge (dict "container" .component) .) | nindent 4 | trim }}
{{- with concat (.volumes | default list) .c.extraVolumes }}
volumes:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "parley.stewardContainer" -}}
{{- include "parley.withExtra" (dict "yaml" (include "parley.stewardContainerOnly" .) "extra" .c.extraContainer) }}
{{- end }}

{{- define "parley.stewardContainerOnly" -}}
name: {{ .container }}
{{ include "parley.componentImage" (merge (dict "name" "steward") .) }}
args:
  {{- toYaml .arguments | nindent 2 }}
{{- include "parley.env" (merge (dict "name" "steward" "own" (.env | default list | toYaml | trimPrefix "[]")) .) }}
{{- with .c.extraEnvFrom }}
envFrom:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- if .admin }}
ports:
  - {name: admin, containerPort: 9090}
{{ include "parley.probes" . }}
{{- end }}
resources:
  {{- toYaml .c.resources | nindent 2 }}
securityContext:
  {{- toYaml .c.securityContext | nindent 2 }}
{{- with concat (.mounts | default list) .c.extraVolumeMounts }}
volumeMounts:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
