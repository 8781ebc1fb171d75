// Package contract holds docs/openapi.yaml and docs/asyncapi.yaml against what a server really says
// and takes. Everything that the server sends must be described, down to the last field; and what is
// described but was never seen is found out by Traffic.Unseen.
package contract

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"
)

// The names of the two documents.
const (
	OpenAPI  = "openapi.yaml"
	AsyncAPI = "asyncapi.yaml"
)

// base is where the documents seem to lie, so that they can refer to each other.
const base = "https://parley.invalid/"

// Contract is the two documents. It is safe for concurrent use.
type Contract struct {
	documents  map[string]any // as they are published, by name
	closed     map[string]any // with no field allowed that is not described
	compiled   map[string]*jsonschema.Schema
	operations []*Operation
	everywhere map[string]*header // the headers that every answer has
	channels   map[string]*channel
	commands   map[string]*Command
	closeCodes map[string]bool
}

// Load reads the two documents from the folder dir, and compiles all that is checked.
func Load(dir string) (*Contract, error) {
	texts := map[string][]byte{}
	for _, name := range []string{OpenAPI, AsyncAPI} {
		text, err := os.ReadFile(filepath.Join(dir, name)) //nolint:gosec // a folder of our own
		if err != nil {
			return nil, fmt.Errorf("read the contract: %w", err)
		}
		texts[name] = text
	}
	return Parse(texts)
}

// Parse is Load for documents at hand, by their names.
func Parse(texts map[string][]byte) (*Contract, error) {
	c := &Contract{documents: map[string]any{}, closed: map[string]any{}, compiled: map[string]*jsonschema.Schema{}}
	compiler := jsonschema.NewCompiler()
	compiler.DefaultDraft(jsonschema.Draft2020)
	for name, text := range texts {
		for _, kept := range []map[string]any{c.documents, c.closed} {
			document, err := parse(text)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			kept[name] = document
		}
		shut(c.closed[name])
		if err := compiler.AddResource(base+name, c.closed[name]); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	if err := c.readOpenAPI(compiler); err != nil {
		return nil, fmt.Errorf("%s: %w", OpenAPI, err)
	}
	if err := c.readAsyncAPI(compiler); err != nil {
		return nil, fmt.Errorf("%s: %w", AsyncAPI, err)
	}
	return c, nil
}

// Document is one of the documents as it is published.
func (c *Contract) Document(name string) any { return c.documents[name] }

// parse makes of YAML what JSON would be: only texts as names, and numbers as they are written.
func parse(text []byte) (any, error) {
	var content any
	if err := yaml.Unmarshal(text, &content); err != nil {
		return nil, fmt.Errorf("no YAML: %w", err)
	}
	plain, err := json.Marshal(named(content))
	if err != nil {
		return nil, fmt.Errorf("no JSON: %w", err)
	}
	return decode(plain)
}

func decode(text []byte) (any, error) {
	content, err := jsonschema.UnmarshalJSON(strings.NewReader(string(text)))
	if err != nil {
		return nil, fmt.Errorf("no JSON: %w", err)
	}
	return content, nil
}

func named(content any) any {
	switch content := content.(type) {
	case map[string]any:
		for name, value := range content {
			content[name] = named(value)
		}
		return content
	case map[any]any: // some names are numbers
		texts := make(map[string]any, len(content))
		for name, value := range content {
			texts[fmt.Sprint(name)] = named(value)
		}
		return texts
	case []any:
		for i, value := range content {
			content[i] = named(value)
		}
		return content
	}
	return content
}

// shut allows no field that is not described in any object. What is published says the opposite:
// clients must ignore what they do not know.
func shut(content any) {
	switch content := content.(type) {
	case map[string]any:
		_, open := content["additionalProperties"]
		if content["type"] == "object" && content["properties"] != nil && !open {
			content["additionalProperties"] = false
		}
		for _, value := range content {
			shut(value)
		}
	case []any:
		for _, value := range content {
			shut(value)
		}
	}
}

// place is where something stands: a document, and the way to it.
type place struct {
	document string
	path     []string
}

func (p place) at(path ...string) place {
	return place{p.document, slices.Concat(p.path, path)}
}

var escapes = strings.NewReplacer("~", "~0", "/", "~1", "%", "%25", "{", "%7B", "}", "%7D") //nolint:gochecknoglobals // a constant

// url is the place as a reference.
func (p place) url() string {
	var b strings.Builder
	b.WriteString(base + p.document + "#")
	for _, step := range p.path {
		b.WriteString("/" + escapes.Replace(step))
	}
	return b.String()
}

// find returns what stands at p, and where that really is: references are followed.
func (c *Contract) find(p place) (any, place) {
	content := c.closed[p.document]
	here := place{document: p.document}
	for i := 0; ; i++ {
		for {
			object, _ := content.(map[string]any)
			reference, ok := object["$ref"].(string)
			if !ok {
				break
			}
			content, here = c.find(here.refers(reference))
		}
		if i == len(p.path) {
			return content, here
		}
		switch holder := content.(type) {
		case map[string]any:
			content = holder[p.path[i]]
		case []any:
			var n int
			if _, err := fmt.Sscan(p.path[i], &n); err != nil || n < 0 || n >= len(holder) {
				return nil, here
			}
			content = holder[n]
		default:
			return nil, here
		}
		here = here.at(p.path[i])
	}
}

// refers reads a reference that stands in p's document.
func (p place) refers(reference string) place {
	document, pointer, _ := strings.Cut(reference, "#")
	if document == "" {
		document = p.document
	}
	to := place{document: document}
	for step := range strings.SplitSeq(strings.TrimPrefix(pointer, "/"), "/") {
		to.path = append(to.path, strings.NewReplacer("~1", "/", "~0", "~").Replace(step))
	}
	return to
}

// object is find for what must be an object; nil if there is none.
func (c *Contract) object(p place) (map[string]any, place) {
	content, here := c.find(p)
	object, _ := content.(map[string]any)
	return object, here
}

// compile gets the schema at p ready.
func (c *Contract) compile(compiler *jsonschema.Compiler, p place) error {
	_, p = c.find(p)
	schema, err := compiler.Compile(p.url())
	if err != nil {
		return fmt.Errorf("a schema: %w", err)
	}
	c.compiled[p.url()] = schema
	return nil
}

// validate holds content against the schema at p.
func (c *Contract) validate(p place, content any) error {
	_, p = c.find(p)
	schema := c.compiled[p.url()]
	if schema == nil {
		return fmt.Errorf("%s is no schema that was compiled", p.url()) //nolint:err113 // for people who write tests
	}
	if err := schema.Validate(content); err != nil {
		return fmt.Errorf("not as described: %w", err)
	}
	return nil
}

// sorted are the names in an object.
func sorted(object map[string]any) []string { return slices.Sorted(maps.Keys(object)) }
