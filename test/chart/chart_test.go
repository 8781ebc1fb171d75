//go:build chart

// Package chart holds charts/parley to what it promises. It looks at what Helm 3 and Helm 4 make of the chart, for each profile in
// charts/parley/ci and for values of its own. `make chart-test` runs it and builds the tools that it needs; without the build tag
// it is not there.
package chart

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

const (
	repository = "../.."
	chart      = repository + "/charts/parley"
	kubernetes = "1.34.0" // that goldens are rendered for
	namespace  = "chat"
)

var update = flag.Bool("update", false, "write anew what is generated")

// profiles are sets of values; each has its goldens.
var profiles = map[string][]string{
	"evaluation": {"-f", chart + "/ci/evaluation-values.yaml"},
	"small":      {"-f", chart + "/values-small.yaml", "-f", chart + "/ci/small-values.yaml"},
	"production": {"-f", chart + "/values-production.yaml", "-f", chart + "/ci/production-values.yaml"},
	"everything": {"-f", chart + "/ci/everything-values.yaml"},
}

// tool is the path of a program that the Makefile builds and names in a variable.
func tool(t *testing.T, variable string) string {
	t.Helper()
	path := os.Getenv(variable)
	if path == "" {
		t.Fatalf("%s is not set: run `make chart-test`, which builds the tools", variable)
	}
	return path
}

// helms are both versions of Helm.
func helms(t *testing.T) map[string]string {
	t.Helper()
	return map[string]string{"helm3": tool(t, "PARLEY_TEST_HELM3"), "helm4": tool(t, "PARLEY_TEST_HELM4")}
}

// run runs a program that must succeed, and returns what it printed.
func run(t *testing.T, name string, arguments ...string) string {
	t.Helper()
	out, err := try(t, name, arguments...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func try(t *testing.T, name string, arguments ...string) (string, error) {
	t.Helper()
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(t.Context(), name, arguments...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	cmd.Env = append(os.Environ(), "HELM_CONFIG_HOME="+t.TempDir(), "KUBECONFIG=/dev/null")
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s %s: %w\n%s%s", filepath.Base(name), strings.Join(arguments, " "), err, out.String(), errs.String())
	}
	return out.String(), nil
}

// template renders the chart as `helm template parley` does.
func template(t *testing.T, helm string, arguments ...string) (string, error) {
	t.Helper()
	return try(t, helm, append([]string{"template", "parley", chart, "--namespace", namespace, "--kube-version", kubernetes}, arguments...)...)
}

// render returns the objects of the chart with these arguments.
func render(t *testing.T, arguments ...string) objects {
	t.Helper()
	out, err := template(t, tool(t, "PARLEY_TEST_HELM3"), arguments...)
	if err != nil {
		t.Fatal(err)
	}
	return parse(t, out)
}

// evaluation are the least arguments that the chart takes, and more.
func evaluation(more ...string) []string {
	return append([]string{"--set", "evaluation.enabled=true"}, more...)
}

// profilesWith are the arguments of a profile, and more.
func profilesWith(profile string, more ...string) []string {
	return append(slices.Clone(profiles[profile]), more...)
}

// eachProfile runs a test on every profile's objects.
func eachProfile(t *testing.T, test func(t *testing.T, all objects)) {
	t.Helper()
	for name, arguments := range profiles {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, render(t, arguments...))
		})
	}
}

func parse(t *testing.T, manifests string) objects {
	t.Helper()
	var all objects
	decoder := yaml.NewDecoder(strings.NewReader(manifests))
	for {
		var o map[string]any
		err := decoder.Decode(&o)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatalf("what Helm rendered is no YAML: %v", err)
		}
		if o != nil {
			all = append(all, o)
		}
	}
}

func TestLint(t *testing.T) {
	for version, helm := range helms(t) {
		for name, arguments := range profiles {
			t.Run(version+"/"+name, func(t *testing.T) {
				t.Parallel()
				run(t, helm, append([]string{"lint", "--strict", "--kube-version", kubernetes, chart}, arguments...)...)
			})
		}
	}
}

func TestGolden(t *testing.T) {
	for name, arguments := range profiles {
		// Dashboards and rules are files with tests of their own.
		arguments = append(slices.Clone(arguments), "--set", "grafanaDashboard.enabled=false,prometheusRule.enabled=false")
		golden := filepath.Join("testdata", "golden", name+".yaml")
		for version, helm := range helms(t) {
			t.Run(version+"/"+name, func(t *testing.T) {
				got, err := template(t, helm, arguments...)
				if err != nil {
					t.Fatal(err)
				}
				if *update && version == "helm3" {
					if err = os.WriteFile(golden, []byte(got), 0o600); err != nil {
						t.Fatal(err)
					}
				}
				want, err := os.ReadFile(golden)
				if err != nil {
					t.Fatal(err)
				}
				if line, is, was := difference(got, string(want)); line > 0 {
					t.Errorf("%s, line %d is\n%s\nand was\n%s\nIf that is right: make chart-test UPDATE=1, and look at the whole difference", golden, line, is, was)
				}
			})
		}
	}
}

// difference finds the first line that differs; 0 is none. Empty lines are not counted: Helm 4 puts one after each object.
func difference(got, want string) (line int, is, was string) {
	lines := func(text string) []string {
		return slices.DeleteFunc(strings.Split(text, "\n"), func(l string) bool { return strings.TrimSpace(l) == "" })
	}
	a, b := lines(got), lines(want)
	for i := range max(len(a), len(b)) {
		is, was = "", ""
		if i < len(a) {
			is = a[i]
		}
		if i < len(b) {
			was = b[i]
		}
		if is != was {
			return i + 1, is, was
		}
	}
	return 0, "", ""
}

// TestReadmeIsCurrent holds charts/parley/README.md against the comments of values.yaml.
func TestReadmeIsCurrent(t *testing.T) {
	got := run(t, tool(t, "PARLEY_TEST_HELM_DOCS"), "--chart-search-root", chart, "--sort-values-order", "file", "--dry-run", "--log-level", "error")
	readme := filepath.Join(chart, "README.md")
	if *update {
		if err := os.WriteFile(readme, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(readme)
	if err != nil {
		t.Fatal(err)
	}
	if line, _, _ := difference(got, string(want)); line > 0 {
		t.Errorf("charts/parley/README.md is stale from line %d on: make chart-test UPDATE=1", line)
	}
}
