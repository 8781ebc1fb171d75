{{- /* What backups and restoring have in common. */}}

{{- /*
steward's values, with pg_dump's user: whoever wrote a file of the volume must be able to delete it. Where the values leave the ids to
the cluster, as OpenShift wants it, nobody gets one.
*/}}
{{- define "parley.backupValues" -}}
{{- $c := include "parley.values" (dict "root" . "name" "steward") | fromYaml }}
{{- $_ := set $c "podSecurityContext" (mergeOverwrite $c.podSecurityContext (include "parley.imageUser" (dict "context" $c.podSecurityContext "user" .Values.backup.runAsUser) | fromYaml)) }}
{{- toYaml $c }}
{{- end }}

{{- /* The ids that a pod security context gives, as another image's user: (dict "context" map "user" 999). */}}
{{- define "parley.imageUser" -}}
{{- if .user }}
{{- range $id := list "runAsUser" "runAsGroup" "fsGroup" }}
{{- if hasKey $.context $id }}
{{ $id }}: {{ $.user }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- /* What a dump is called: parley, if there is one database, else the service. */}}
{{- define "parley.dumpName" -}}
{{- ternary "parley" .service (eq (include "parley.oneDatabase" .root) "true") }}
{{- end }}

{{- /*
The database's URL for libpq, which knows nothing of the pool's parameters that pgx takes; then half a minute's patience until it
answers: some networks let a pod through a moment after it has started.
*/}}
{{- define "parley.libpqURL" -}}
url=${DATABASE:-$(cat "$DATABASE_FILE")}
url=$(printf %s "$url" | sed -E 's/([?&])(pool_[a-z_]+=[^&]*&?)+/\1/; s/[?&]$//')
tries=30
until pg_isready --quiet --dbname="$url" || [ $((tries -= 1)) = 0 ]; do sleep 1; done
{{- end }}

{{- /* What steward is told of S3, as JSON: flags, variables, and the mount of the keys. */}}
{{- define "parley.s3Flags" -}}
{{- $flags := list (printf "--region=%s" .region) }}
{{- with .endpoint }}{{ $flags = append $flags (printf "--endpoint=%s" .) }}{{ end }}
{{- if .pathStyle }}{{ $flags = append $flags "--path-style" }}{{ end }}
{{- toJson $flags }}
{{- end }}

{{- define "parley.s3Env" -}}
{{- $env := list (dict "name" "PARLEY_S3_ACCESS_KEY_FILE" "value" "/etc/parley/s3/access-key") (dict "name" "PARLEY_S3_SECRET_KEY_FILE" "value" "/etc/parley/s3/secret-key") }}
{{- if .caKey }}{{ $env = append $env (dict "name" "PARLEY_S3_CA_FILE" "value" "/etc/parley/s3/ca.crt") }}{{ end }}
{{- toJson $env }}
{{- end }}

{{- /* Volumes: where dumps lie for the moment, how the databases are reached ("files"), and where backups are kept. */}}
{{- define "parley.backupVolumes" -}}
{{- $b := .root.Values.backup -}}
- name: dump
  {{- toYaml $b.scratch | nindent 2 }}
{{- with trim .files }}
- name: secrets
  projected:
    defaultMode: 0440 # libpq takes no private key that everybody may read
    sources:
      {{- . | nindent 6 }}
{{- end }}
{{- if $b.volume.enabled }}
- {name: backups, persistentVolumeClaim: {claimName: {{ $b.volume.existingClaim | default (printf "%s-backup" (include "parley.fullname" .root)) }}}}
{{- end }}
{{- with $b.s3 }}
{{- if .url }}
- name: s3
  secret:
    secretName: {{ required "backup.s3.existingSecret: a Secret with the keys of the store" .existingSecret }}
    defaultMode: 0440
    items:
      - {key: {{ .accessKeyKey }}, path: access-key}
      - {key: {{ .secretKeyKey }}, path: secret-key}
      {{- with .caKey }}
      - {key: {{ . }}, path: ca.crt}
      {{- end }}
{{- end }}
{{- end }}
{{- end }}
