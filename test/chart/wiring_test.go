//go:build chart

package chart

import (
	"slices"
	"testing"
)

// operators are the objects that profiles take for granted.
var operators = map[string][]string{
	"Secret": {
		"parley-postgres", "parley-redis", "parley-db-app", "parley-db-ca", "redis-ca", "credential", "first",
		"db", "db-tls", "redis", "redis-tls", "s3", "pull", "tester",
	},
	"ServiceAccount": {"default"},
}

// TestNamesLeadSomewhere: whatever names or selects another object finds it, and no other.
func TestNamesLeadSomewhere(t *testing.T) {
	eachProfile(t, func(t *testing.T, all objects) {
		exists := func(from object, kind, name string) {
			if kind == "Secret" && slices.Contains(madeByJob(all), name) {
				return
			}
			if name != "" && !all.has(kind, name) && !slices.Contains(operators[kind], name) {
				t.Errorf("%s names %s %s, which is not there", from, kind, name)
			}
		}
		for _, o := range all {
			switch o.kind() {
			case "Deployment", "StatefulSet":
				if !selects(o.strings("spec", "selector", "matchLabels"), o.in("spec", "template").strings("metadata", "labels")) {
					t.Errorf("%s does not select its own pods", o)
				}
				onlyOwner(t, all, o, o.strings("spec", "selector", "matchLabels"))
				if o.kind() == "StatefulSet" {
					exists(o, "Service", o.text("spec", "serviceName"))
				}
			case "Service":
				p := onlyOwner(t, all, o, o.strings("spec", "selector"))
				for _, port := range o.list("spec", "ports") {
					if !slices.ContainsFunc(p.spec.list("containers")[0].list("ports"), func(c object) bool {
						return c.text("name") == port.text("targetPort") && c.number("containerPort") == port.number("port")
					}) {
						t.Errorf("%s: its pods have no port %v", o, port)
					}
				}
			case "PodDisruptionBudget":
				onlyOwner(t, all, o, o.strings("spec", "selector", "matchLabels"))
			case "HorizontalPodAutoscaler", "ScaledObject":
				exists(o, "Deployment", o.text("spec", "scaleTargetRef", "name"))
			case "RoleBinding":
				exists(o, "Role", o.text("roleRef", "name"))
				exists(o, "ServiceAccount", o.list("subjects")[0].text("name"))
			case "Ingress":
				for _, rule := range o.list("spec", "rules") {
					for _, path := range rule.list("http", "paths") {
						exists(o, "Service", path.text("backend", "service", "name"))
					}
				}
			case "HTTPRoute":
				for _, rule := range o.list("spec", "rules") {
					exists(o, "Service", rule.list("backendRefs")[0].text("name"))
				}
			case "NetworkPolicy":
				selector := o.strings("spec", "podSelector", "matchLabels")
				if !slices.ContainsFunc(all.pods(), func(p pod) bool { return selects(selector, p.labels) }) &&
					selector["app.kubernetes.io/component"] != "secrets" { // whose Job is not always there
					t.Errorf("%s selects no pod", o)
				}
			}
		}
		for _, p := range all.pods() {
			exists(p.owner, "ServiceAccount", p.spec.text("serviceAccountName"))
			for _, volume := range p.spec.list("volumes") {
				exists(p.owner, "Secret", volume.text("secret", "secretName"))
				exists(p.owner, "PersistentVolumeClaim", volume.text("persistentVolumeClaim", "claimName"))
				for _, source := range volume.list("projected", "sources") {
					exists(p.owner, "Secret", source.text("secret", "name"))
				}
			}
			for _, c := range p.containers() {
				for _, e := range c.list("env") {
					exists(p.owner, "Secret", e.text("valueFrom", "secretKeyRef", "name"))
				}
			}
		}
	})
}

// onlyOwner returns the pods that a selector finds, which must be those of one owner.
func onlyOwner(t *testing.T, all objects, from object, selector map[string]string) pod {
	t.Helper()
	var found []pod
	for _, p := range all.pods() {
		if selects(selector, p.labels) {
			found = append(found, p)
		}
	}
	if len(selector) == 0 || len(found) != 1 {
		t.Fatalf("%s selects the pods of %d objects: %v", from, len(found), selector)
	}
	return found[0]
}

// TestRoutes: each path ends where cluster/proxy.go sends it, by Ingress and by HTTPRoute alike.
func TestRoutes(t *testing.T) {
	want := map[string]string{
		"/ws": "edge", "/sse": "edge", "/poll": "edge", "/api/auth": "auth", "/.well-known/jwks.json": "auth", "/api/rooms": "rooms", "/": "web",
	}
	all := render(t, profiles["everything"]...)
	for _, rule := range all.find(t, "Ingress", "parley").list("spec", "rules") {
		got := map[string]string{}
		for _, path := range rule.list("http", "paths") {
			got[path.text("path")] = path.text("backend", "service", "name")
		}
		compare(t, "Ingress", got, want)
	}
	got := map[string]string{}
	for _, rule := range all.find(t, "HTTPRoute", "parley").list("spec", "rules") {
		for _, match := range rule.list("matches") {
			if match.text("path", "type") != "RegularExpression" {
				got[match.text("path", "value")] = rule.list("backendRefs")[0].text("name")
			}
		}
	}
	compare(t, "HTTPRoute", got, want)
}

func compare(t *testing.T, what string, got, want map[string]string) {
	t.Helper()
	for path, service := range want {
		if got[path] != "parley-"+service {
			t.Errorf("%s: %s goes to %q, want parley-%s", what, path, got[path], service)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%s: %v", what, got)
	}
}
