{{- define "parley.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" }}
{{- end }}

{{- /* 40 characters leave room for what follows, of the 63 that a name may have. */}}
{{- define "parley.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" }}
{{- else if contains (include "parley.name" .) .Release.Name }}
{{- .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "parley.name" .) | trunc 40 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- /* What selects pods of a component, or all of the release: (dict "root" $ "component" "edge"). */}}
{{- define "parley.selector" -}}
app.kubernetes.io/name: {{ include "parley.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- with .component }}
app.kubernetes.io/component: {{ . }}
{{- end }}
{{- end }}

{{- define "parley.labels" -}}
{{ include "parley.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: parley
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- /* Labels of pods: nothing that a new version of the chart alone would change, which would restart them. */}}
{{- define "parley.podLabels" -}}
{{ include "parley.selector" . }}
app.kubernetes.io/part-of: parley
{{- with merge (dict) (dig "podLabels" (dict) (.c | default dict)) .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- /*
Name, labels and annotations of an object: (dict "root" $ "component" "edge" "suffix" "edge-pods"); name, namespace, labels and
annotations of its own if it has them.
*/}}
{{- define "parley.metadata" -}}
name: {{ .name | default (printf "%s-%s" (include "parley.fullname" .root) .suffix) }}
namespace: {{ .namespace | default .root.Release.Namespace }}
labels:
  {{- include "parley.labels" . | nindent 2 }}
  {{- with .labels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with merge (dict) (.annotations | default dict) .root.Values.commonAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- /* One image: (dict "root" $ "image" map), the map with registry, repository, tag, digest. */}}
{{- define "parley.image" -}}
{{- $registry := .root.Values.global.imageRegistry | default .image.registry }}
{{- printf "%s/%s" $registry .image.repository }}
{{- if .image.digest }}@{{ .image.digest }}{{ else }}:{{ .image.tag }}{{ end }}
{{- end }}

{{- /* The image of a component, as YAML: (dict "root" $ "name" "edge" "c" its values). */}}
{{- define "parley.componentImage" -}}
{{- $common := .root.Values.image }}
{{- $image := dict "registry" $common.registry "repository" (printf "%s-%s" $common.repository .name) "tag" ($common.tag | default .root.Chart.AppVersion) -}}
image: {{ include "parley.image" (dict "root" .root "image" (mergeOverwrite $image .c.image)) }}
imagePullPolicy: {{ .c.image.pullPolicy | default $common.pullPolicy }}
{{- end }}

{{- /* A component's values: what all have in common, and what is its own. */}}
{{- define "parley.values" -}}
{{- mergeOverwrite (deepCopy .root.Values.defaults) (deepCopy (index .root.Values .name)) | toYaml }}
{{- end }}

{{- define "parley.serviceAccountName" -}}
{{- $own := printf "%s-%s" (include "parley.fullname" .root) .name }}
{{- if .c.serviceAccount.create }}{{ .c.serviceAccount.name | default $own }}{{ else }}{{ .c.serviceAccount.name | default "default" }}{{ end }}
{{- end }}

{{- /* The host of publicURL, or nothing. */}}
{{- define "parley.publicHost" -}}
{{- with .Values.publicURL }}{{ (urlParse .).hostname }}{{ end }}
{{- end }}
