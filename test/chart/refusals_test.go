//go:build chart

package chart

import (
	"strings"
	"testing"
)

// TestMistakesAreRefused: by the schema or by a message of the chart's, on both versions of Helm.
func TestMistakesAreRefused(t *testing.T) {
	for _, test := range []struct{ name, arguments, message string }{
		{"a name that is not there", "evaluation.enabled=true,ingres.enabled=true", "ingres"},
		{"a name in a component", "evaluation.enabled=true,edge.replica=3", "replica"},
		{"a name deep in a component", "evaluation.enabled=true,edge.autoscaling.min=3", "min"},
		{"a number for a switch", "evaluation.enabled=1", "boolean"},
		{"a kind that is not there", "evaluation.enabled=true,defaults.antiAffinity=medium", "antiAffinity"},
		{"a digest that is none", "evaluation.enabled=true,auth.image.digest=latest", "digest"},
		{"a setting that is none", "evaluation.enabled=true,config.SIGNUP=false", "config"},
		{"a setting that nobody reads", "evaluation.enabled=true,config.PARLEY_SIGNUPS=false", "config.PARLEY_SIGNUPS: no service reads it"},
		{"a setting that another service reads", "evaluation.enabled=true,edge.config.PARLEY_SIGNUP=false", "edge.config.PARLEY_SIGNUP: edge does not read it"},
		{"a setting that the chart makes", "evaluation.enabled=true,edge.config.PARLEY_DRAIN_DELAY=1s", "or the chart makes it"},
		{"settings among the defaults", "evaluation.enabled=true,defaults.config.PARLEY_SIGNUP=false", "/defaults/config"},
		{"what a chore has not", "evaluation.enabled=true,steward.drain.delaySeconds=1", "drain"},
		{"no stores", "publicURL=https://a.example", "To try Parley without: evaluation.enabled=true"},
		{"no Redis", "postgres.external.host=a", "Parley needs one Redis"},
		{"two forms of Redis", "postgres.external.host=a,redis.external.host=b,redis.external.cluster.addresses={c:1}", "Parley needs one Redis"},
		{"stores beside the evaluation's", "evaluation.enabled=true,postgres.external.host=a", "leave postgres.external.url, urlKey and host empty"},
		{"Redis beside the evaluation's", "evaluation.enabled=true,redis.external.host=a", "starts a Redis of its own"},
		{"a key without its Secret", "postgres.external.urlKey=uri,redis.external.host=a", "name it in postgres.external.existingSecret"},
		{"a URL in a Secret without its port", "postgres.external.existingSecret=s,postgres.external.urlKey=uri,redis.external.host=a", "port"},
		{"Redis' URL in a Secret without its port", "postgres.external.host=a,redis.external.existingSecret=s,redis.external.urlKey=url", "port"},
		{"one service's URL in a Secret without its port", "postgres.external.host=a,postgres.external.rooms.existingSecret=s,postgres.external.rooms.urlKey=uri,redis.external.host=a", "postgres.external.rooms.port"},
		{"a misspelt limit", "evaluation.enabled=true,edge.resources.limit.memory=1Gi", "limit"},
		{"a misspelt resource", "evaluation.enabled=true,edge.resources.limits.memmory=1Gi", "memmory"},
		{"a misspelt request of a store", "evaluation.enabled=true,evaluation.postgres.resources.request.cpu=1", "request"},
		{"a misspelt part of a probe", "evaluation.enabled=true,edge.readinessProbe.period=1", "period"},
		{"an address without port", "evaluation.enabled=true,redis.external.sentinel.addresses={a}", "addresses"},
		{"a grace period that the drain exceeds", "evaluation.enabled=true,edge.terminationGracePeriodSeconds=54", "edge.terminationGracePeriodSeconds: 54 s are less than its drain takes, 65 s"},
		{"connections of auth", "evaluation.enabled=true,auth.autoscaling.targetConnections=5", "only edges have connections"},
		{"KEDA without Prometheus", "evaluation.enabled=true,edge.autoscaling.enabled=true,edge.autoscaling.kind=ScaledObject,edge.autoscaling.targetConnections=5", "asks Prometheus"},
		{"backups to nowhere", "evaluation.enabled=true,backup.enabled=true", "say where backups go"},
		{"dumps from a server whose CA is not known", "postgres.external.host=a,redis.external.host=b,backup.enabled=true,backup.volume.enabled=true", "Put the server's CA into a Secret"},
		{"S3 without keys", "evaluation.enabled=true,backup.enabled=true,backup.s3.url=s3://a", "backup.s3.existingSecret"},
		{"a route without a gateway", "evaluation.enabled=true,httpRoute.enabled=true", "httpRoute.parentRefs"},
		{"a URL with a path", "evaluation.enabled=true,publicURL=https://a.example/chat", "publicURL"},
	} {
		for version, helm := range helms(t) {
			t.Run(version+"/"+test.name, func(t *testing.T) {
				t.Parallel()
				_, err := template(t, helm, "--set", test.arguments)
				if err == nil {
					t.Fatal("was taken")
				}
				if !strings.Contains(err.Error(), test.message) {
					t.Errorf("the message does not say %q: %v", test.message, err)
				}
			})
		}
	}
}
