{{- /*
Where PostgreSQL and Redis are, and the secrets of it. Everything secret is a file below /etc/parley, except for a password that
comes without its URL: PostgreSQL's is PGPASSWORD, Redis' and its sentinels' are variables that complete PARLEY_REDIS. No secret is
pasted into a URL, where a character of it could mean something.
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
  value: {{ printf "postgres://%s@%s:%v/%s?pool_max_conns=%v" (include "parley.escape" $postgres.user) $postgres.host ($postgres.port | default 5432) (include "parley.escape" $postgres.database) $postgres.poolSize | quote }}
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
{{- $fullname := include "parley.fullname" .root }}
{{- $path := printf "%s-database" .service }}
{{- if .root.Values.evaluation.enabled }}
{{ include "parley.file" (dict "secret" (printf "%s-postgres" $fullname) "key" "url" "path" $path) }}
{{- else }}
{{- if $postgres.url }}
{{ include "parley.file" (dict "secret" (printf "%s-postgres-url" $fullname) "key" (printf "%s-url" .service) "path" $path) }}
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
{{- if and $redis.existingSecret $redis.passwordKey }}
- name: PARLEY_REDIS_PASSWORD
  valueFrom: {secretKeyRef: {name: {{ $redis.existingSecret }}, key: {{ $redis.passwordKey }}}}
{{- end }}
{{- $user := include "parley.escape" $redis.username }}
{{- $query := list }}
{{- $hosts := printf "%s:%v" $redis.host ($redis.port | default 6379) }}
{{- $scheme := ternary "rediss" "redis" $redis.tls.enabled }}
{{- if $redis.sentinel.addresses }}
{{- $scheme = printf "%s+sentinel" $scheme }}
{{- $hosts = join "," $redis.sentinel.addresses }}
{{- $query = append $query (printf "master=%s" (include "parley.escape" $redis.sentinel.master)) }}
{{- with $redis.sentinel.username }}{{ $query = append $query (printf "sentinel_username=%s" (include "parley.escape" .)) }}{{ end }}
{{- with $redis.sentinel.passwordKey }}
- name: PARLEY_REDIS_SENTINEL_PASSWORD
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
{{- with $redis.tls.serverName }}{{ $query = append $query (printf "server_name=%s" (include "parley.escape" .)) }}{{ end }}
{{- end }}
- name: PARLEY_REDIS
  value: {{ printf "%s://%s%s%s%s" $scheme (ternary (printf "%s@" $user) "" (ne $user "")) $hosts (ternary "" (printf "/%v" $redis.database) (ne (len $redis.cluster.addresses) 0)) (ternary (printf "?%s" (join "&" $query)) "" (ne (len $query) 0)) | quote }}
{{- end }}
{{- end }}

{{- define "parley.redisFiles" -}}
{{- $redis := .Values.redis.external }}
{{- $own := printf "%s-redis%s" (include "parley.fullname" .) (ternary "" "-url" .Values.evaluation.enabled) }}
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

{{- /* A part of a URL, with what would mean something in one written as %XX. */}}
{{- define "parley.escape" -}}
{{- urlquery . | replace "+" "%20" }}
{{- end }}

{{- /* Ports of all hosts of a URL, as a list in JSON: (dict "url" … "port" what a host without one is reached at). */}}
{{- define "parley.urlPorts" -}}
{{- $authority := regexFind "^[^/?#]*" (regexReplaceAll "^[a-z+]+://" .url "") }}
{{- $ports := list }}
{{- range splitList "," (regexReplaceAll "^.*@" $authority "") }}
{{- if . }}{{ $ports = append $ports (regexFind ":[0-9]+$" . | trimPrefix ":" | default $.port | int) }}{{ end }}
{{- end }}
{{- /* PostgreSQL's URLs may name hosts and ports as parameters. */}}
{{- range splitList "," (regexFind "[?&]port=[0-9,]+" .url | regexFind "[0-9,]+$") }}
{{- if . }}{{ $ports = append $ports (int .) }}{{ end }}
{{- end }}
{{- $ports | default (list (int .port)) | uniq | toJson }}
{{- end }}

{{- /* Ports at which the PostgreSQL of a service is, as a list in JSON: (dict "root" $ "service" "auth"). */}}
{{- define "parley.postgresPorts" -}}
{{- $postgres := include "parley.postgres" . | fromYaml }}
{{- if $postgres.url }}
{{- include "parley.urlPorts" (dict "url" $postgres.url "port" 5432) }}
{{- else }}
{{- list ($postgres.port | default 5432 | int) | toJson }}
{{- end }}
{{- end }}

{{- /* Ports at which Redis and its sentinels are, as a list in JSON. Sentinels and nodes name others, which are at `port`. */}}
{{- define "parley.redisPorts" -}}
{{- $redis := .Values.redis.external }}
{{- $ports := list }}
{{- $others := regexMatch "^rediss?[+]" $redis.url }}
{{- if or $redis.port $others (not $redis.url) }}
{{- $ports = append $ports ($redis.port | default 6379 | int) }}
{{- end }}
{{- if $redis.url }}
{{- $ports = concat $ports (include "parley.urlPorts" (dict "url" $redis.url "port" (ternary 26379 6379 (contains "+sentinel:" $redis.url))) | fromJsonArray) }}
{{- end }}
{{- range concat $redis.sentinel.addresses $redis.cluster.addresses }}
{{- $ports = append $ports (int (regexFind "[0-9]+$" .)) }}
{{- end }}
{{- $numbers := list }}
{{- range $ports }}{{ $numbers = append $numbers (int .) }}{{ end }}
{{- uniq $numbers | toJson }}
{{- end }}
