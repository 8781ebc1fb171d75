//go:build chart

package chart

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

// end is one end of a connection: a pod of the release, or one of another namespace.
type end struct {
	labels, namespace map[string]string // of the pod, and of its namespace; nil if it is of the release's
}

// allowed says whether the NetworkPolicies let a connection through at both ends, as Kubernetes reads them: who is selected by no
// policy may do anything; else one rule of one policy must allow it.
func allowed(all objects, from, to end, port int) bool {
	return passes(all, from, to, port, "Egress", "egress", "to") && passes(all, to, from, port, "Ingress", "ingress", "from")
}

func passes(all objects, me, other end, port int, policyType, rules, peers string) bool {
	isolated := false
	for _, policy := range all.ofKind("NetworkPolicy") {
		if me.namespace != nil || !slices.Contains(policy.words("spec", "policyTypes"), policyType) || !selects(policy.strings("spec", "podSelector", "matchLabels"), me.labels) {
			continue
		}
		isolated = true
		for _, rule := range policy.list("spec", rules) {
			if hasPort(rule, port) && hasPeer(rule, peers, other) {
				return true
			}
		}
	}
	return !isolated
}

func hasPort(rule object, port int) bool {
	ports := rule.list("ports")
	return len(ports) == 0 || slices.ContainsFunc(ports, func(p object) bool { return p.number("port") == port && p.text("protocol") == "TCP" })
}

func hasPeer(rule object, field string, other end) bool {
	peers := rule.list(field)
	return len(peers) == 0 || slices.ContainsFunc(peers, func(peer object) bool {
		if peer.at("ipBlock") != nil {
			return false // none of the pods here has an address
		}
		if selector := peer.at("namespaceSelector"); selector == nil && other.namespace != nil ||
			selector != nil && (other.namespace == nil || !selects(peer.strings("namespaceSelector", "matchLabels"), other.namespace)) {
			return false
		}
		return selects(peer.strings("podSelector", "matchLabels"), other.labels)
	})
}

// ports that anything in the release, or beside it, listens on.
var ports = []int{53, 443, 3306, 5432, 6379, 8080, 8081, 9090}

// TestPoliciesLetThroughWhatIsNeeded tries every pair of pods on every port: what is not listed must not pass.
func TestPoliciesLetThroughWhatIsNeeded(t *testing.T) {
	all := render(t, "-f", chart+"/ci/evaluation-values.yaml",
		"--set", "deletionCost.enabled=true,backup.enabled=true,backup.volume.enabled=true",
		"--set", "networkPolicy.ingressFrom[0].namespaceSelector.matchLabels.kubernetes\\.io/metadata\\.name=ingress")
	outside := func(namespace string) end {
		return end{labels: map[string]string{"app": namespace}, namespace: map[string]string{"kubernetes.io/metadata.name": namespace}}
	}
	ends := map[string]end{"ingress": outside("ingress"), "monitoring": outside("monitoring"), "kube-system": outside("kube-system"), "other": outside("other")}
	for _, p := range all.pods() {
		ends[p.labels["app.kubernetes.io/component"]] = end{labels: p.labels}
	}
	ends["stray"] = end{labels: maps.Clone(ends["web"].labels)} // what is in the release and no policy of its own speaks of
	ends["stray"].labels["app.kubernetes.io/component"] = "stray"
	want := map[string]bool{}
	let := func(port int, froms, tos string) {
		for from := range strings.FieldsSeq(froms) {
			for to := range strings.FieldsSeq(tos) {
				want[fmt.Sprintf("%s → %s:%d", from, to, port)] = true
			}
		}
	}
	const services, release = "auth rooms edge web", "auth rooms edge web steward secrets check backup backup-volume postgres redis stray"
	let(8080, "ingress check", services)
	let(8081, "edge", "auth rooms")
	let(8081, "rooms", "auth")
	let(6379, "auth rooms edge", "redis")
	let(5432, "auth rooms backup", "postgres")
	let(9090, "monitoring", services+" steward")
	let(9090, "steward", "edge")
	let(9090, "check", "auth rooms edge")
	let(53, release, "kube-system")
	let(443, "secrets steward check", "ingress monitoring kube-system other") // the API server may be anywhere
	if len(ends) != len(strings.Fields(release))+4 {
		t.Fatalf("there are other pods: %v", slices.Sorted(maps.Keys(ends)))
	}
	for fromName, from := range ends {
		for toName, to := range ends {
			if from.namespace != nil && to.namespace != nil {
				continue
			}
			for _, port := range ports {
				way := fmt.Sprintf("%s → %s:%d", fromName, toName, port)
				if got := allowed(all, from, to, port); got != want[way] {
					t.Errorf("%s passes: %v, want %v", way, got, want[way])
				}
			}
		}
	}
}

// TestPoliciesToStoresOutside: the way out is as narrow as the values say.
func TestPoliciesToStoresOutside(t *testing.T) {
	all := render(t, profiles["everything"]...)
	want := map[string]string{
		"auth":    "192.0.2.10/32:[5432] 192.0.2.20/32:[6379 6380]",
		"rooms":   "192.0.2.10/32:[6432] 192.0.2.20/32:[6379 6380]",
		"edge":    "192.0.2.20/32:[6379 6380] 192.0.2.0/24:[]",
		"web":     "",
		"backup":  "192.0.2.10/32:[5432] 192.0.2.10/32:[6432] 192.0.2.30/32:[9000]",
		"steward": "192.0.2.40/32:[6443]",
		"default": "169.254.20.10/32:[53 53]",
	}
	for component, blocks := range want {
		var got []string
		for _, rule := range all.find(t, "NetworkPolicy", "parley-"+component).list("spec", "egress") {
			for _, peer := range rule.list("to") {
				if cidr := peer.text("ipBlock", "cidr"); cidr != "" {
					numbers := []int{}
					for _, p := range rule.list("ports") {
						numbers = append(numbers, p.number("port"))
					}
					got = append(got, fmt.Sprintf("%s:%v", cidr, numbers))
				}
			}
		}
		if strings.Join(got, " ") != blocks {
			t.Errorf("%s reaches %q, want %q", component, got, blocks)
		}
	}
	for _, o := range render(t, evaluation("--set", "networkPolicy.enabled=false")...).ofKind("NetworkPolicy") {
		t.Errorf("%s is there though policies are off", o)
	}
	traces := render(t, evaluation("--set", "config.PARLEY_TRACES=http://collector:4318")...)
	if !allowed(traces, end{labels: traces.component(t, "edge").labels}, end{namespace: map[string]string{}}, 4318) {
		t.Error("traces don't get out")
	}
}

// TestPoliciesOpenThePortsOfTheStores: those that stand in the URLs, of every host.
func TestPoliciesOpenThePortsOfTheStores(t *testing.T) {
	const redis, postgres = "redis.external.host=r", "postgres.external.host=p"
	for set, want := range map[string]string{
		redis + "," + postgres: "[5432] [6379]",
		"redis.external.host=r,redis.external.port=6380,postgres.external.host=p,postgres.external.port=6432":                                 "[6432] [6380]",
		redis + ",postgres.external.url=postgres://u:p@h:6432/d":                                                                              "[6432] [6379]",
		redis + ",postgres.external.url=postgres://u:p@h/d":                                                                                   "[5432] [6379]",
		redis + `,postgres.external.url=postgres://u:p:1@h1:6432\,h2\,[::1]:6433/d?pool_max_conns=5`:                                          "[6432 5432 6433] [6379]",
		redis + `,postgres.external.url=postgres:///d?host=h1\,h2&port=6432\,6433`:                                                            "[6432 6433] [6379]",
		postgres + ",redis.external.url=rediss://:p@h:6380/0":                                                                                 "[5432] [6380]",
		postgres + ",redis.external.url=redis://h":                                                                                            "[5432] [6379]",
		postgres + `,redis.external.url=redis+sentinel://:p@h1:26380\,h2/0?master=m`:                                                          "[5432] [6379 26380 26379]",
		postgres + `,redis.external.url=redis+cluster://:p@h1:7000\,h2:7001,redis.external.port=7002`:                                         "[5432] [7002 7000 7001]",
		postgres + ",redis.external.existingSecret=s,redis.external.urlKey=k,redis.external.port=6380":                                        "[5432] [6380]",
		redis + ",postgres.external.existingSecret=s,postgres.external.urlKey=k,postgres.external.auth.port=6432,postgres.external.port=5433": "[6432] [6379]",
	} {
		t.Run(set, func(t *testing.T) {
			t.Parallel()
			all := render(t, "--set", set, "--set", "networkPolicy.postgresTo[0].ipBlock.cidr=192.0.2.1/32,networkPolicy.redisTo[0].ipBlock.cidr=192.0.2.2/32")
			var got []string
			for _, rule := range all.find(t, "NetworkPolicy", "parley-auth").list("spec", "egress") {
				var numbers []int
				for _, p := range rule.list("ports") {
					numbers = append(numbers, p.number("port"))
				}
				got = append(got, fmt.Sprint(numbers))
			}
			if strings.Join(got, " ") != want {
				t.Errorf("auth reaches the ports %v, want %s", got, want)
			}
		})
	}
}
