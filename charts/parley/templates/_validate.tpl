{{- /* What a schema can't say. Every message says what to do. */}}
{{- define "parley.validate" -}}
{{- $redis := .Values.redis.external }}
{{- $redisForms := 0 }}
{{- range list $redis.url $redis.urlKey $redis.host $redis.sentinel.addresses $redis.cluster.addresses }}
{{- if . }}{{ $redisForms = add1 $redisForms }}{{ end }}
{{- end }}
{{- range $service := list "auth" "rooms" }}
{{- $postgres := include "parley.postgres" (dict "root" $ "service" $service) | fromYaml }}
{{- $outside := or $postgres.url $postgres.urlKey $postgres.host }}
{{- if and $.Values.evaluation.enabled $outside }}
{{- fail "evaluation.enabled starts a PostgreSQL of its own: leave postgres.external.url, urlKey and host empty, or evaluation.enabled false" }}
{{- else if not (or $.Values.evaluation.enabled $outside) }}
{{- fail (printf "%s needs PostgreSQL: set one of postgres.external.url, urlKey (with existingSecret) and host. To try Parley without: evaluation.enabled=true" $service) }}
{{- end }}
{{- if and $postgres.urlKey (not $postgres.existingSecret) }}
{{- fail "postgres.external.urlKey is a key in a Secret: name it in postgres.external.existingSecret" }}
{{- end }}
{{- if and $postgres.urlKey (not $postgres.port) }}
{{- fail (printf "postgres.external.urlKey: the URL is in a Secret, which the chart does not read. Say its port for the NetworkPolicies in postgres.external.port or postgres.external.%s.port" $service) }}
{{- end }}
{{- if and $.Values.backup.enabled (not $.Values.evaluation.enabled) (hasPrefix "verify" $postgres.sslMode) (not $postgres.tls.existingSecret) }}
{{- fail "backup.enabled: pg_dump knows no authorities, as the services do. Put the server's CA into a Secret and name it in postgres.external.tls.existingSecret" }}
{{- end }}
{{- end }}
{{- if and .Values.evaluation.enabled $redisForms }}
{{- fail "evaluation.enabled starts a Redis of its own: leave redis.external's url, urlKey, host, sentinel.addresses and cluster.addresses empty, or evaluation.enabled false" }}
{{- else if not (or .Values.evaluation.enabled (eq (int $redisForms) 1)) }}
{{- fail "Parley needs one Redis: set one of redis.external.url, urlKey (with existingSecret), host, sentinel.addresses and cluster.addresses. To try Parley without: evaluation.enabled=true" }}
{{- end }}
{{- if and (or $redis.urlKey $redis.sentinel.passwordKey) (not $redis.existingSecret) }}
{{- fail "redis.external.urlKey and sentinel.passwordKey are keys in a Secret: name it in redis.external.existingSecret" }}
{{- end }}
{{- if and .Values.backup.enabled (not (or .Values.backup.volume.enabled .Values.backup.s3.url)) }}
{{- fail "backup.enabled: say where backups go: backup.volume.enabled, backup.s3.url or both" }}
{{- end }}
{{- if and .Values.httpRoute.enabled (not .Values.httpRoute.parentRefs) }}
{{- fail "httpRoute.enabled: name the gateway in httpRoute.parentRefs" }}
{{- end }}
{{- end }}
