//go:build chart

package chart

import (
	"archive/zip"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// releases are those of Kubernetes that the chart is for: the oldest that Chart.yaml lets in to the newest there is.
var releases = []string{"v1.29.6", "v1.30.14", "v1.31.14", "v1.32.13", "v1.33.13", "v1.34.4", "v1.35.4", "v1.36.3", "v1.37.2"}

// kinds of others, and where their modules describe them.
var customResources = map[string]string{
	"github.com/prometheus-operator/prometheus-operator@v0.85.0": "example/prometheus-operator-crd/monitoring.coreos.com_podmonitors.yaml " +
		"example/prometheus-operator-crd/monitoring.coreos.com_servicemonitors.yaml example/prometheus-operator-crd/monitoring.coreos.com_prometheusrules.yaml",
	"sigs.k8s.io/gateway-api@v1.7.0":      "config/crd/standard/gateway.networking.k8s.io_httproutes.yaml",
	"github.com/kedacore/keda/v2@v2.21.0": "config/crd/bases/keda.sh_scaledobjects.yaml",
}

// TestKubernetesAcceptsIt validates every profile against the API of each release, strictly: a field that it does not know is a mistake.
func TestKubernetesAcceptsIt(t *testing.T) {
	custom := t.TempDir()
	for module, files := range customResources {
		for path := range strings.FieldsSeq(files) {
			var definition map[string]any
			if err := yaml.Unmarshal(fromModule(t, module, path), &definition); err != nil {
				t.Fatal(err)
			}
			writeCustomSchemas(t, custom, definition)
		}
	}
	for _, release := range releases {
		t.Run(release, func(t *testing.T) {
			t.Parallel()
			var swagger struct {
				Definitions map[string]any `json:"definitions"`
			}
			if err := json.Unmarshal(fromModule(t, "k8s.io/kubernetes@"+release, "api/openapi-spec/swagger.json"), &swagger); err != nil {
				t.Fatal(err)
			}
			rendered, schemas := t.TempDir(), t.TempDir()
			kinds := map[string]bool{}
			for name, arguments := range profiles {
				manifests, err := template(t, tool(t, "PARLEY_TEST_HELM3"), append(slices.Clip(arguments), "--kube-version", release)...)
				if err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(rendered, name+".yaml"), []byte(manifests), 0o600); err != nil {
					t.Fatal(err)
				}
				for _, o := range parse(t, manifests) {
					group, version, found := strings.Cut(o.text("apiVersion"), "/")
					if !found {
						group, version = "", group
					}
					kinds[schemaFile(object{"group": group, "version": version, "kind": o.kind()})] = true
				}
			}
			writeSchemas(t, schemas, swagger.Definitions, kinds)
			const pattern = "/{{ .ResourceKind }}{{ .KindSuffix }}.json"
			run(t, tool(t, "PARLEY_TEST_KUBECONFORM"), "-strict", "-schema-location", schemas+pattern, "-schema-location", custom+pattern, rendered)
		})
	}
}

// fromModule reads a file of a Go module, which is the one source of these descriptions that pins and checks them. It is kept, and
// the module, with many files that are of no use here, is not.
func fromModule(t *testing.T, module, path string) []byte {
	t.Helper()
	cache := os.Getenv("PARLEY_TEST_CACHE")
	if cache == "" {
		t.Fatal("PARLEY_TEST_CACHE is not set: run `make chart-test`")
	}
	kept := filepath.Join(cache, "schemas", strings.ReplaceAll(module, "/", "_"), filepath.Base(path))
	if content, err := os.ReadFile(kept); err == nil {
		return content
	}
	modules := t.TempDir()
	cmd := exec.CommandContext(t.Context(), "go", "mod", "download", "-modcacherw", "-json", module)
	cmd.Env = append(os.Environ(), "GOMODCACHE="+modules, "GOWORK=off", "GOFLAGS=")
	cmd.Dir = modules
	out, err := cmd.Output() // it fails if the module wants a newer Go, and has downloaded it nevertheless
	var downloaded struct{ Zip, Error string }
	if json.Unmarshal(out, &downloaded) != nil || downloaded.Zip == "" {
		t.Fatalf("go mod download %s: %v %s", module, err, downloaded.Error)
	}
	archive, err := zip.OpenReader(downloaded.Zip)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = archive.Close() }()
	file, err := archive.Open(module + "/" + path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	content, err := io.ReadAll(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(kept), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(kept, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return content
}

// writeSchemas turns Kubernetes' OpenAPI document into a JSON schema for each kind that is asked for, as kubeconform reads them:
// with what it refers to, and no more, since the whole document takes seconds to read.
func writeSchemas(t *testing.T, dir string, definitions map[string]any, wanted map[string]bool) {
	t.Helper()
	definitions["io.k8s.apimachinery.pkg.api.resource.Quantity"] = map[string]any{"type": []any{"string", "number"}}
	for name, definition := range definitions {
		d, _ := definition.(map[string]any)
		for _, id := range object(d).list("x-kubernetes-group-version-kind") {
			if file := schemaFile(id); wanted[file] {
				needed := map[string]any{}
				collect(definitions, name, needed)
				strict(needed)
				writeJSON(t, filepath.Join(dir, file), map[string]any{"$ref": reference + name, "definitions": needed})
			}
		}
	}
}

const reference = "#/definitions/"

// collect adds a definition, and all that it refers to.
func collect(definitions map[string]any, name string, needed map[string]any) {
	if needed[name] != nil {
		return
	}
	needed[name] = definitions[name]
	var follow func(any)
	follow = func(value any) {
		switch v := value.(type) {
		case []any:
			for _, item := range v {
				follow(item)
			}
		case map[string]any:
			if ref, ok := v["$ref"].(string); ok {
				collect(definitions, strings.TrimPrefix(ref, reference), needed)
			}
			for _, item := range v {
				follow(item)
			}
		}
	}
	follow(definitions[name])
}

// writeCustomSchemas does the same for each version of a CustomResourceDefinition.
func writeCustomSchemas(t *testing.T, dir string, definition object) {
	t.Helper()
	for _, version := range definition.list("spec", "versions") {
		schema := version.in("schema", "openAPIV3Schema")
		properties := schema.in("properties")
		properties["metadata"] = map[string]any{"type": "object"}
		strict(map[string]any(schema))
		id := object{"group": definition.text("spec", "group"), "version": version.text("name"), "kind": definition.text("spec", "names", "kind")}
		writeJSON(t, filepath.Join(dir, schemaFile(id)), schema)
	}
}

// schemaFile is the name that kubeconform looks for.
func schemaFile(id object) string {
	group, _, _ := strings.Cut(id.text("group"), ".")
	if group != "" {
		group = "-" + group
	}
	return strings.ToLower(id.text("kind")) + group + "-" + id.text("version") + ".json"
}

// strict makes a schema refuse what it does not name, and says int-or-string in JSON schema's own words.
func strict(schema any) {
	switch s := schema.(type) {
	case []any:
		for _, item := range s {
			strict(item)
		}
	case map[string]any:
		for _, value := range s {
			strict(value)
		}
		if s["format"] == "int-or-string" || s["x-kubernetes-int-or-string"] == true {
			delete(s, "format")
			delete(s, "anyOf")
			s["type"] = []any{"string", "integer"}
		}
		if _, named := s["properties"].(map[string]any); named && s["additionalProperties"] == nil && s["x-kubernetes-preserve-unknown-fields"] != true {
			s["additionalProperties"] = false
		}
	}
}

func writeJSON(t *testing.T, file string, value any) {
	t.Helper()
	content, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
}
