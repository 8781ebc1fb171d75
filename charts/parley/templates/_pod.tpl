{{- /*
What every pod of Parley's own images has: (dict "root" $ "name" "edge" "c" its values), and "component" and "account" where they
are not the name's. Containers come after it.
*/}}
{{- define "parley.pod" -}}
{{- $component := .component | default .name -}}
serviceAccountName: {{ .account | default (include "parley.serviceAccountName" .) }}
automountServiceAccountToken: {{ .token | default false }}
enableServiceLinks: false # they would put PARLEY_… variables of their own beside ours
securityContext:
  {{- toYaml .c.podSecurityContext | nindent 2 }}
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .c.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .c.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .c.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- /* How pods of a component keep apart. */}}
{{- define "parley.spread" -}}
{{- $selector := include "parley.selector" (dict "root" .root "component" .name) | fromYaml }}
{{- if .c.affinity }}
affinity:
  {{- toYaml .c.affinity | nindent 2 }}
{{- else if ne .c.antiAffinity "none" }}
{{- $term := dict "topologyKey" "kubernetes.io/hostname" "labelSelector" (dict "matchLabels" $selector) }}
affinity:
  podAntiAffinity:
    {{- if eq .c.antiAffinity "hard" }}
    requiredDuringSchedulingIgnoredDuringExecution:
      - {{ toYaml $term | nindent 8 | trim }}
    {{- else }}
    preferredDuringSchedulingIgnoredDuringExecution:
      - weight: 100
        podAffinityTerm:
          {{- toYaml $term | nindent 10 }}
    {{- end }}
{{- end }}
{{- with .c.topologySpreadConstraints }}
topologySpreadConstraints:
  {{- range . }}
  - {{ toYaml (hasKey . "labelSelector" | ternary . (merge (dict "labelSelector" (dict "matchLabels" $selector)) .)) | nindent 4 | trim }}
  {{- end }}
{{- end }}
{{- end }}

{{- /* A pod's or container's YAML with what an extra… value says, which wins: (dict "yaml" … "extra" map). */}}
{{- define "parley.withExtra" -}}
{{- if .extra }}
{{- mergeOverwrite (fromYaml .yaml) .extra | toYaml }}
{{- else }}
{{- .yaml }}
{{- end }}
{{- end }}

{{- /* GOMEMLIMIT, nine tenths of the limit: the garbage collector works harder before the kernel kills. */}}
{{- define "parley.memoryEnv" -}}
{{- $limit := dig "limits" "memory" "" .c.resources | toString }}
{{- if regexMatch "^[0-9]+[MG]i$" $limit }}
{{- $mebibytes := mul (regexFind "[0-9]+" $limit | int) (ternary 1024 1 (hasSuffix "Gi" $limit)) }}
- {name: GOMEMLIMIT, value: {{ div (mul $mebibytes 9) 10 }}MiB}
{{- end }}
{{- end }}

{{- /*
The settings of a component: from `config` those that it reads, then its own. files/settings.yaml says who reads what; what is
not there is a mistake, or made by the chart itself.
*/}}
{{- define "parley.settings" -}}
{{- $readers := .root.Files.Get "files/settings.yaml" | fromYaml }}
{{- $settings := dict }}
{{- if hasPrefix "https:" .root.Values.publicURL }}
{{- $_ := set $settings "PARLEY_COOKIE_SECURE" "true" }}
{{- end }}
{{- range $name, $value := .root.Values.config }}
{{- if not (hasKey $readers $name) }}
{{- fail (printf "config.%s: no service reads it, or the chart makes it from other values. Settings are listed in docs/configuration.md" $name) }}
{{- end }}
{{- $_ := set $settings $name $value }}
{{- end }}
{{- range $name, $value := $settings }}
{{- if not (has $.name (index $readers $name)) }}
{{- $_ := unset $settings $name }}
{{- end }}
{{- end }}
{{- range $name, $value := .c.config | default dict }}
{{- if not (has $.name (get $readers $name | default list)) }}
{{- fail (printf "%s.config.%s: %s does not read it, or the chart makes it from other values. Settings are listed in docs/configuration.md" $.name $name $.name) }}
{{- end }}
{{- $_ := set $settings $name $value }}
{{- end }}
{{- range $name, $value := $settings }}
- {name: {{ $name }}, value: {{ ternary $value (toJson $value) (kindIs "string" $value) | quote }}}
{{- end }}
{{- end }}

{{- /* The variables of a container: "own" are those that the chart makes for it, as YAML. */}}
{{- define "parley.env" }}
{{- with print (include "parley.memoryEnv" .) "\n" (trim .own) (include "parley.settings" .) "\n" (toYaml .c.extraEnv | trimPrefix "[]") | trim }}
env:
  {{- regexReplaceAll "\n+" . "\n" | nindent 2 }}
{{- end }}
{{- end }}

{{- define "parley.probes" -}}
startupProbe:
  httpGet: {path: /livez, port: admin}
  {{- toYaml .c.startupProbe | nindent 2 }}
livenessProbe:
  httpGet: {path: /livez, port: admin}
  {{- toYaml .c.livenessProbe | nindent 2 }}
readinessProbe:
  httpGet: {path: /readyz, port: admin}
  {{- toYaml .c.readinessProbe | nindent 2 }}
{{- end }}
