{{- /*
Where PostgreSQL and Redis are, and the secrets of it. Everything secret is a file below /etc/parley, except for a password that
comes without its URL: PostgreSQL's is PGPASSWORD, Redis' is put into its URL by the kubelet.
*/}}

{{- /* PostgreSQL of one service, as YAML: (dict "root" $ "service" "auth"). */}}
{{- define "parley.postgres" -}}
{{- $external := .root.Values.postgres.external }}
{{- mergeOverwrite (omit (deepCopy $external) "auth" "rooms") (deepCopy (index $external .service)) | toYaml }}
{{- end }}

{{- /* Whether both services keep their data in one database. */}}
{{- define "parley.oneDatabase" -}}
{{- if or .Values.evaluation.enabled (eq (include "parley.postgres" (dict "root" . "service" "auth")) (include "parley.postgres" (dict "root" . "service" "rooms"))) }}true{{ end }}
{{- end }}

{{- /* Variables that lead to it, for pgx and libpq alike; "variable" is what the program calls the URL. */}}
{{- define "parley.postgresEnv" -}}
{{- $postgres := include "parley.postgres" . | fromYaml }}
{{- if or .root.Values.evaluation.enabled $postgres.url $postgres.urlKey }}
- {name: {{ .variable }}_FILE, value: /etc/parley/{{ .service }}-database}
{{- else }}
- name: {{ .variable }}
  value: {{ printf "postgres://%s@%s:%v/%s?pool_max_conns=%v" $postgres.user $postgres.host $postgres.port $postgres.database $postgres.poolSize | quote }}
{{- if $postgres.existingSecret }}
- name: PGPASSWORD
  valueFrom: {secretKeyRef: {name: {{ $postgres.existingSecret }}, key: {{ $postgres.passwordKey }}}}
{{- end }}
{{- end }}
{{- if not .root.Values.evaluation.enabled }}
- {name: PGSSLMODE, value: {{ $postgres.sslMode }}}
{{- with $postgres.tls }}
{{- if .existingSecret }}
- {name: PGSSLROOTCERT, value: /etc/parley/{{ $.service }}-database-ca.crt}
{{- if .certKey }}
- {name: PGSSLCERT, value: /etc/parley/{{ $.service }}-database-client.crt}
- {name: PGSSLKEY, value: /etc/parley/{{ $.service }}-database-client.key}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- /* Sources of a projected volume with the files that parley.postgresEnv names. */}}
{{- define "parley.postgresFiles" -}}
{{- $postgres := include "parley.postgres" . | fromYaml }}
{{- $own := printf "%s-postgres" (include "parley.fullname" .root) }}
{{- $path := printf "%s-database" .service }}
{{- if .root.Values.evaluation.enabled }}
{{ include "parley.file" (dict "secret" $own "key" "url" "path" $path) }}
{{- else }}
{{- if $postgres.url }}
{{ include "parley.file" (dict "secret" $own "key" (printf "%s-url" .service) "path" $path) }}
{{- else if $postgres.urlKey }}
{{ include "parley.file" (dict "secret" $postgres.existingSecret "key" $postgres.urlKey "path" $path) }}
{{- end }}
{{- include "parley.tlsFiles" (dict "tls" $postgres.tls "path" $path) }}
{{- end }}
{{- end }}

{{- define "parley.redisEnv" -}}
{{- $redis := .Values.redis.external }}
{{- if or .Values.evaluation.enabled $redis.url $redis.urlKey }}
- {name: PARLEY_REDIS_FILE, value: /etc/parley/redis}
{{- else }}
{{- /* A variable that refers to others must stand after them. */}}
{{- $user := $redis.username }}
{{- if and $redis.existingSecret $redis.passwordKey }}
{{- $user = printf "%s:$(PARLEY_REDIS_PASSWORD)" $redis.username }}
- name: PARLEY_REDIS_PASSWORD
  valueFrom: {secretKeyRef: {name: {{ $redis.existingSecret }}, key: {{ $redis.passwordKey }}}}
{{- end }}
{{- $query := list }}
{{- $hosts := printf "%s:%v" $redis.host $redis.port }}
{{- $scheme := ternary "rediss" "redis" $redis.tls.enabled }}
{{- if $redis.sentinel.addresses }}
{{- $scheme = printf "%s+sentinel" $scheme }}
{{- $hosts = join "," $redis.sentinel.addresses }}
{{- $query = append $query (printf "master=%s" $redis.sentinel.master) }}
{{- with $redis.sentinel.username }}{{ $query = append $query (printf "sentinel_username=%s" .) }}{{ end }}
{{- with $redis.sentinel.passwordKey }}
{{- $query = append $query "sentinel_password=$(PARLEY_SENTINEL_PASSWORD)" }}
- name: PARLEY_SENTINEL_PASSWORD
  valueFrom: {secretKeyRef: {name: {{ $redis.existingSecret }}, key: {{ . }}}}
{{- end }}
{{- else if $redis.cluster.addresses }}
{{- $scheme = printf "%s+cluster" $scheme }}
{{- $hosts = join "," $redis.cluster.addresses }}
{{- end }}
{{- if $redis.tls.enabled }}
{{- if $redis.tls.existingSecret }}
{{- $query = append $query "ca_file=/etc/parley/redis-ca.crt" }}
{{- if $redis.tls.certKey }}{{ $query = append $query "cert_file=/etc/parley/redis-client.crt&key_file=/etc/parley/redis-client.key" }}{{ end }}
{{- end }}
{{- with $redis.tls.serverName }}{{ $query = append $query (printf "server_name=%s" .) }}{{ end }}
{{- end }}
- name: PARLEY_REDIS
  value: {{ printf "%s://%s%s%s%s" $scheme (ternary (printf "%s@" $user) "" (ne $user "")) $hosts (ternary "" (printf "/%v" $redis.database) (ne (len $redis.cluster.addresses) 0)) (ternary (printf "?%s" (join "&" $query)) "" (ne (len $query) 0)) | quote }}
{{- end }}
{{- end }}

{{- define "parley.redisFiles" -}}
{{- $redis := .Values.redis.external }}
{{- $own := printf "%s-redis" (include "parley.fullname" .) }}
{{- if or .Values.evaluation.enabled $redis.url }}
{{ include "parley.file" (dict "secret" $own "key" "url" "path" "redis") }}
{{- else if $redis.urlKey }}
{{ include "parley.file" (dict "secret" $redis.existingSecret "key" $redis.urlKey "path" "redis") }}
{{- end }}
{{- if not .Values.evaluation.enabled }}
{{- include "parley.tlsFiles" (dict "tls" $redis.tls "path" "redis") }}
{{- end }}
{{- end }}

{{- define "parley.file" -}}
- secret: {name: {{ .secret }}, items: [{key: {{ .key }}, path: {{ .path }}}]}
{{- end }}

{{- define "parley.tlsFiles" -}}
{{- with .tls }}
{{- if .existingSecret }}
{{ include "parley.file" (dict "secret" .existingSecret "key" .caKey "path" (printf "%s-ca.crt" $.path)) }}
{{- if .certKey }}
{{ include "parley.file" (dict "secret" .existingSecret "key" .certKey "path" (printf "%s-client.crt" $.path)) }}
{{ include "parley.file" (dict "secret" .existingSecret "key" .keyKey "path" (printf "%s-client.key" $.path)) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- /* Ports at which Redis and its sentinels are, as a list in JSON. */}}
{{- define "parley.redisPorts" -}}
{{- $redis := .Values.redis.external }}
{{- $ports := list (int $redis.port) }}
{{- if not .Values.evaluation.enabled }}
{{- range concat $redis.sentinel.addresses $redis.cluster.addresses }}
{{- $ports = append $ports (int (regexFind "[0-9]+$" .)) }}
{{- end }}
{{- else }}
{{- $ports = list 6379 }}
{{- end }}
{{- uniq $ports | toJson }}
{{- end }}
