//go:build chart

package chart

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// k8s is for people without Helm: the chart, rendered for three of its profiles, and overlays around it.
const k8s = repository + "/k8s"

var overlays = map[string][]string{
	"evaluation": nil,
	"small":      {"-f", chart + "/values-small.yaml"},
	"production": {"-f", chart + "/values-production.yaml"},
}

// TestBasesAreCurrent holds what is kept as rendered against the chart.
func TestBasesAreCurrent(t *testing.T) {
	for name, arguments := range overlays {
		base := filepath.Join(k8s, "base", name)
		got, err := template(t, tool(t, "PARLEY_TEST_HELM3"), append(slices.Clip(arguments), "-f", filepath.Join(base, "values.yaml"), "--skip-tests")...)
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(base, "parley.yaml")
		if *update {
			if err = os.WriteFile(file, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if line, is, was := difference(got, string(want)); line > 0 {
			t.Errorf("%s, line %d: the chart says %q, the file %q; if the chart is right: make chart-test UPDATE=1", file, line, is, was)
		}
	}
}

// TestOverlays builds them, and holds them to what the chart's own tests can't see: that nothing is named which nobody brings.
func TestOverlays(t *testing.T) {
	for name := range overlays {
		t.Run(name, func(t *testing.T) {
			all := parse(t, run(t, tool(t, "PARLEY_TEST_KUSTOMIZE"), "build", filepath.Join(k8s, "overlays", name)))
			made := map[string]map[string]bool{}
			for _, o := range all {
				if o.kind() == "Namespace" {
					continue
				}
				if o.text("metadata", "namespace") != "parley" {
					t.Errorf("%s is in namespace %q", o, o.text("metadata", "namespace"))
				}
				if by := o.strings("metadata", "labels")["app.kubernetes.io/managed-by"]; o.kind() != "Secret" && by != "kustomize" {
					t.Errorf("%s is managed by %q", o, by)
				}
				if o.kind() == "Secret" {
					made[o.name()] = map[string]bool{}
					for key := range o.in("data") {
						made[o.name()][key] = true
					}
				}
			}
			for _, p := range all.pods() {
				for _, c := range p.containers() {
					if strings.Contains(c.text("image"), "/parley-") && name != "evaluation" && !strings.HasSuffix(c.text("image"), ":"+tagOf(t, name)) {
						t.Errorf("%s runs %s: the overlay does not set its tag", p.owner, c.text("image"))
					}
				}
			}
			if name == "evaluation" {
				return
			}
			for _, secret := range []string{"parley-postgres", "parley-redis"} {
				if !made[secret]["url"] {
					t.Errorf("the overlay makes no Secret %s with a url", secret)
				}
			}
			ingress := all.find(t, "Ingress", "parley")
			if rule, tls := ingress.list("spec", "rules")[0].text("host"), ingress.list("spec", "tls")[0].all(); !strings.Contains(tls, rule) {
				t.Errorf("the Ingress is for %s, its certificate for %s", rule, tls)
			}
		})
	}
}

// tagOf is the tag that an overlay gives.
func tagOf(t *testing.T, overlay string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(k8s, "overlays", overlay, "kustomization.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	all := parse(t, string(content))
	return all[0].list("images")[0].text("newTag")
}
