package operation

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// node is a part of a document.
type node map[string]any

func document(t *testing.T, name string) node {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", name))
	if err != nil {
		t.Fatal(err)
	}
	var n node
	if err = yaml.Unmarshal(text, &n); err != nil {
		t.Fatal(err)
	}
	return n
}

// at goes down by the keys; what is missing is empty.
func (n node) at(keys ...string) node {
	for _, key := range keys {
		n, _ = n[key].(node)
	}
	return n
}

// fields are those of a schema of an object, a star behind each that is required.
func (n node) fields() []string {
	var all []string
	required, _ := n["required"].([]any)
	for name := range n.at("properties") {
		if slices.Contains(required, any(name)) {
			name += "*"
		}
		all = append(all, name)
	}
	return all
}

func wanted(fields []Field, but ...string) (all []string) {
	for _, f := range fields {
		switch {
		case slices.Contains(but, f.Name):
		case f.Required:
			all = append(all, f.Name+"*")
		default:
			all = append(all, f.Name)
		}
	}
	return all
}

func same(t *testing.T, what string, got, want []string) {
	t.Helper()
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("%s has %v in the document, want %v", what, got, want)
	}
}

// Each operation stands in the description of the socket, with its fields and its answer, and what the description
// says to be answered by sent or ok is in the table.
func TestOperationsAreDescribedForTheSocket(t *testing.T) {
	api := document(t, "asyncapi.yaml")
	for _, o := range All {
		payload := api.at("components", "messages", string(o.Name), "payload")
		same(t, string(o.Name), payload.fields(), append(wanted(o.Fields), "type*", "id", "room*"))
		if got := payload.at("properties", "type")["const"]; got != string(o.Name) {
			t.Errorf("%s is of type %v", o.Name, got)
		}
	}
	answered := map[string]string{}
	for name := range api.at("operations") {
		reply := api.at("operations", name, "reply")
		for _, answer := range []Answer{AnswerSent, AnswerOK} {
			if strings.Contains(fmt.Sprint(reply["messages"]), "/messages/"+string(answer)+"]") {
				answered[name] = string(answer)
			}
		}
	}
	want := map[string]string{}
	for _, o := range All {
		want[string(o.Name)] = string(o.Answer)
	}
	if !maps.Equal(answered, want) {
		t.Errorf("the document answers %v, want %v", answered, want)
	}
}

// Each route stands in the description of the HTTP API, with the fields that the path does not have.
func TestOperationsAreDescribedForHTTP(t *testing.T) {
	api := document(t, "openapi.yaml")
	for _, o := range All {
		for _, route := range o.Routes {
			what := route.Method + " " + route.Path
			var path []string
			but := slices.Collect(maps.Keys(route.Set))
			for part := range strings.SplitSeq(route.Path, "/") {
				if name, ok := strings.CutPrefix(part, ":"); ok {
					part = "{" + name + "}"
					if name == ParameterMessage {
						name = FieldMessage
					}
					but = append(but, name)
				}
				path = append(path, part)
			}
			call := api.at("paths", strings.Join(path, "/"), strings.ToLower(route.Method))
			if call == nil {
				t.Errorf("%s is not described", what)
				continue
			}
			same(t, what, call.at("requestBody", "content", "application/json", "schema").fields(), wanted(o.Fields, but...))
			status := map[Answer]string{AnswerSent: "201", AnswerOK: "200"}[o.Answer]
			if call.at("responses", status) == nil {
				t.Errorf("%s is not described to answer %s", what, status)
			}
		}
	}
}
