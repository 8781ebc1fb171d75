package contract

import (
	"fmt"
	"slices"
	"strings"
)

// name is how a field is called in reports: by the place of its schema.
func (p place) name() string { return p.document + " " + strings.Join(p.path, "/") }

// fields calls note for every field, and every value of an enumeration, that content has of the
// schema at p.
func (c *Contract) fields(p place, content any, note func(string)) {
	schema, p := c.object(p)
	for i := range list(schema["oneOf"]) {
		if branch := p.at("oneOf", fmt.Sprint(i)); c.chosen(branch, content) {
			c.fields(branch, content, note)
		}
	}
	if slices.Contains(list(schema["enum"]), content) {
		note(fmt.Sprintf("%s: %v", p.name(), content))
	}
	switch content := content.(type) {
	case []any:
		for _, item := range content {
			c.fields(p.at("items"), item, note)
		}
	case map[string]any:
		properties, _ := schema["properties"].(map[string]any)
		for name := range properties {
			if value, ok := content[name]; ok {
				field := p.at("properties", name)
				note(field.name())
				c.fields(field, value, note)
			}
		}
	}
}

// chosen says whether content is of the branch at p, which its type tells.
func (c *Contract) chosen(p place, content any) bool {
	kind, _ := c.find(p.at("properties", "type", "const"))
	object, _ := content.(map[string]any)
	return kind != nil && object["type"] == kind
}

// allFields calls note for everything that fields could find.
func (c *Contract) allFields(p place, seen map[string]bool, note func(string)) {
	schema, p := c.object(p)
	if schema == nil || seen[p.url()] {
		return
	}
	seen[p.url()] = true
	for i := range list(schema["oneOf"]) {
		c.allFields(p.at("oneOf", fmt.Sprint(i)), seen, note)
	}
	for _, value := range list(schema["enum"]) {
		note(fmt.Sprintf("%s: %v", p.name(), value))
	}
	if schema["items"] != nil {
		c.allFields(p.at("items"), seen, note)
	}
	properties, _ := schema["properties"].(map[string]any)
	for name := range properties {
		field := p.at("properties", name)
		note(field.name())
		c.allFields(field, seen, note)
	}
}

func list(content any) []any {
	values, _ := content.([]any)
	return values
}
