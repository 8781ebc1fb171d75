//go:build chart

package chart

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const rules = `groups:
  - name: first
    rules:
      - record: job:ready:sum
        expr: sum(parley_ready)
      - alert: Kept
        expr: job:ready:sum < 1
        labels: {severity: page}
        annotations: {summary: "{{ $labels.job }} is at {{ $value | humanize }}"}
      - alert: Unwanted
        expr: vector(1)
  - name: second
    rules:
      - alert: Unwanted
        expr: vector(1)
`

const dashboard = `{"title": "One", "legendFormat": "{{pod}}"}`

// TestRulesAndDashboards: the files get into the cluster as they are, whatever braces they have.
func TestRulesAndDashboards(t *testing.T) {
	copied := filepath.Join(t.TempDir(), "parley")
	if err := os.CopyFS(copied, os.DirFS(chart)); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{"rules/test.yaml": rules, "dashboards/test.json": dashboard} {
		file := filepath.Join(copied, "files", name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for version, helm := range helms(t) {
		t.Run(version, func(t *testing.T) {
			all := parse(t, run(t, helm, "template", "parley", copied, "--kube-version", kubernetes, "--set", "evaluation.enabled=true",
				"--set", "prometheusRule.enabled=true,prometheusRule.exclude={Unwanted},prometheusRule.alertLabels.team=chat,prometheusRule.labels.release=prometheus",
				"--set", "grafanaDashboard.enabled=true,grafanaDashboard.namespace=monitoring"))
			rule := all.find(t, "PrometheusRule", "parley-test")
			groups := rule.list("spec", "groups")
			if len(groups) != 1 || len(groups[0].list("rules")) != 2 || rule.text("metadata", "labels", "release") != "prometheus" {
				t.Fatalf("the rules became %v", rule)
			}
			alert := groups[0].list("rules")[1]
			if got := alert.text("annotations", "summary"); got != "{{ $labels.job }} is at {{ $value | humanize }}" {
				t.Errorf("the summary became %q", got)
			}
			if alert.text("labels", "team") != "chat" || alert.text("labels", "severity") != "page" {
				t.Errorf("the alert's labels are %v", alert.at("labels"))
			}
			configMap := all.find(t, "ConfigMap", "parley-dashboard-test")
			if configMap.text("data", "test.json") != dashboard || configMap.text("metadata", "labels", "grafana_dashboard") != "1" || configMap.text("metadata", "namespace") != "monitoring" {
				t.Errorf("the dashboard became %v", configMap)
			}
		})
	}
}

// TestNotes: what people read after an installation tells them how to go on, and what is wrong.
func TestNotes(t *testing.T) {
	for name, test := range map[string]struct {
		arguments []string
		has, not  []string
	}{
		"evaluation": {evaluation(), []string{
			"There is no way in yet", "get secret parley-administrator", "the password that the account was made with", "NOT FOR PRODUCTION",
		}, []string{"TRUSTED_PROXIES", "createsuperuser"}},
		"small": {profiles["small"], []string{
			"https://chat.example.org", "exec -it deploy/parley-auth -- /auth createsuperuser NAME", "WARNING: config.PARLEY_TRUSTED_PROXIES is not set",
		}, []string{"no way in", "NOT FOR PRODUCTION", "is not encrypted"}},
		"production":  {profiles["production"], []string{"Prometheus' operator"}, []string{"WARNING"}},
		"unencrypted": {evaluation("--set", "publicURL=http://a.example"), []string{"WARNING: http://a.example is not encrypted"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			// Helm 3 wants a cluster for this.
			out := run(t, tool(t, "PARLEY_TEST_HELM4"), append([]string{"install", "parley", chart, "--namespace", namespace, "--dry-run=client"}, test.arguments...)...)
			_, notes, found := strings.Cut(out, "\nNOTES:\n")
			if !found {
				t.Fatal("there are none")
			}
			for _, text := range test.has {
				if !strings.Contains(notes, text) {
					t.Errorf("the notes do not say %q:\n%s", text, notes)
				}
			}
			for _, text := range test.not {
				if strings.Contains(notes, text) {
					t.Errorf("the notes say %q:\n%s", text, notes)
				}
			}
		})
	}
}

// TestNobodyWaitsForSuccessAlone: a runbook that waits for a Job to complete waits for hours when it has failed.
func TestNobodyWaitsForSuccessAlone(t *testing.T) {
	for _, folder := range []string{"docs", "k8s", "charts", "tilt"} {
		err := filepath.WalkDir(filepath.Join(repository, folder), func(path string, entry os.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			content, err := os.ReadFile(path)
			if err == nil && strings.Contains(strings.ToLower(string(content)), "condition=complete") {
				t.Errorf("%s waits for a Job to complete, and not for it to fail", path)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
}

// TestCheckStaysForItsLog: and has itself deleted with its ServiceAccount, as it may.
func TestCheckStaysForItsLog(t *testing.T) {
	all := render(t, evaluation()...)
	check := all.find(t, "Pod", "parley-check")
	if policy := check.text("metadata", "annotations", "helm.sh/hook-delete-policy"); policy != "before-hook-creation" {
		t.Errorf("`helm test --logs` finds no pod: it is deleted by %s", policy)
	}
	if !strings.Contains(check.all(), "--pod=parley-check=parley-check") || check.text("spec", "serviceAccountName") != "parley-check" {
		t.Errorf("it outlives the release: %v", check)
	}
	role := all.find(t, "Role", "parley-check").all()
	for _, right := range []string{"serviceaccounts", "pods", "patch", "get"} {
		if !strings.Contains(role, right) {
			t.Errorf("its Role lacks %s: %s", right, role)
		}
	}
	if got := all.component(t, "check").env("PARLEY_CHECK_USER"); got != "from" {
		t.Errorf("it signs in as %q, not with an account of its own", got)
	}
}
