//go:build chart

package chart

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

// cluster answers what Helm asks to look Secrets up, and what it knows kinds by.
type cluster map[string]any // by path

func newCluster(all objects, secrets map[string]object) cluster {
	c := cluster{
		"/version": object{"major": "1", "minor": "34", "gitVersion": "v" + kubernetes},
		"/api":     object{"kind": "APIVersions", "versions": []string{"v1"}},
	}
	kinds, groups := map[string]object{}, []any{}
	for _, o := range append(all, object{"apiVersion": "v1", "kind": "Secret"}) {
		version, path := o.text("apiVersion"), "/apis/"
		group, short, grouped := strings.Cut(version, "/")
		if !grouped {
			path = "/api/"
		}
		if kinds[version] == nil {
			kinds[version] = object{"kind": "APIResourceList", "groupVersion": version, "resources": []any{}}
			c[path+version] = kinds[version]
			if grouped {
				groups = append(groups, object{"name": group, "versions": []any{object{"groupVersion": version, "version": short}}})
			}
		}
		resources, _ := kinds[version]["resources"].([]any)
		name := strings.ToLower(o.kind()) + "s"
		kinds[version]["resources"] = append(resources, object{"name": name, "namespaced": true, "kind": o.kind(), "verbs": []string{"get"}})
	}
	c["/apis"] = object{"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}
	for name, secret := range secrets {
		c["/api/v1/namespaces/"+namespace+"/secrets/"+name] = secret
	}
	return c
}

func (c cluster) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	answer, there := c[r.URL.Path]
	if !there {
		w.WriteHeader(http.StatusNotFound)
		answer = object{"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": http.StatusNotFound}
	}
	_ = json.NewEncoder(w).Encode(answer)
}

// TestSecretsOfAnOlderChartAreKept: it rendered them, so Helm would delete them. Before that they are made anew, by a hook, as
// Secrets that Helm does not own; and none but them.
func TestSecretsOfAnOlderChartAreKept(t *testing.T) {
	secret := func(release, component, password string) object {
		return object{"apiVersion": "v1", "kind": "Secret", "data": object{"password": password}, "metadata": object{
			"labels":      object{"app.kubernetes.io/component": component},
			"annotations": object{"meta.helm.sh/release-name": release},
		}}
	}
	server := httptest.NewServer(newCluster(render(t, evaluation()...), map[string]object{
		"parley-postgres":      secret("parley", "secrets", "b25l"),
		"parley-administrator": secret("parley", "secrets", ""),       // emptied, to be made again
		"parley-redis":         secret("", "secrets", "b25l"),         // made by the Job
		"parley-credential":    secret("another", "secrets", "b25l"),  // of another release
		"parley-check":         secret("parley", "something", "b25l"), // somebody's own
		"parley-unknown":       secret("parley", "secrets", "b25l"),   // nothing that a chart of Parley made
	}))
	t.Cleanup(server.Close)
	for version, helm := range helms(t) {
		t.Run(version, func(t *testing.T) {
			out := run(t, helm, append([]string{"template", "parley", chart, "--namespace", namespace, "--dry-run=server", "--is-upgrade", "--kube-version", kubernetes, "--disable-openapi-validation", "--kube-apiserver", server.URL}, evaluation()...)...)
			var kept []string
			for _, o := range parse(t, out).ofKind("Secret") {
				kept = append(kept, o.name())
			}
			if !slices.Equal(slices.Sorted(slices.Values(kept)), []string{"parley-postgres"}) {
				t.Fatalf("kept are %v", kept)
			}
			postgres := parse(t, out).find(t, "Secret", "parley-postgres")
			annotations := postgres.strings("metadata", "annotations")
			if annotations["helm.sh/hook"] != "pre-upgrade" || annotations["helm.sh/resource-policy"] != "keep" || annotations["helm.sh/hook-delete-policy"] != "before-hook-creation" {
				t.Errorf("its annotations are %v", annotations)
			}
			if postgres.text("data", "password") != "b25l" || postgres.at("immutable") != true || strings.Contains(postgres.all(), "managed-by") {
				t.Errorf("it became %v", postgres)
			}
		})
	}
}
