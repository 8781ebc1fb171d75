package contract

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Request is a body or a frame made from a description.
type Request struct {
	What    string // such as "name of 41 characters"
	Field   string
	Content map[string]any
	// Refused says that the contract does not allow it. What is not refused is just within the bounds.
	Refused bool
}

// Requests are variations of a good body of the operation, each in one field; nil if it has no body.
func (c *Contract) Requests(o *Operation) []Request {
	example, _ := c.find(o.place.at("requestBody", "content", "application/json", "example"))
	good, ok := example.(map[string]any)
	if !ok {
		return nil
	}
	return c.variations(o.body(), good)
}

// Frames are variations of a good frame of the command, each in one field.
func (c *Contract) Frames(kind string) []Request {
	command := c.commands[kind]
	return slices.DeleteFunc(c.variations(command.payload, command.example), func(r Request) bool {
		return r.Field == "type" || r.Field == "id" // which say what it is at all
	})
}

// Commands are the types of what clients send.
func (c *Contract) Commands() []string { return slices.Sorted(maps.Keys(c.commands)) }

// ErrorCodes are the codes that an error in answer to the command may have.
func (c *Contract) ErrorCodes(kind string) []string { return c.commands[kind].codes }

// CloseCodes are the codes with which a socket is closed.
func (c *Contract) CloseCodes() []string { return slices.Sorted(maps.Keys(c.closeCodes)) }

func (c *Contract) variations(at place, good map[string]any) []Request {
	schema, at := c.object(at)
	var all []Request
	add := func(field, what string, value any, refused bool) {
		content := maps.Clone(good)
		content[field] = value
		all = append(all, Request{field + " " + what, field, content, refused})
	}
	for _, field := range list(schema["required"]) {
		name, _ := field.(string)
		content := maps.Clone(good)
		delete(content, name)
		all = append(all, Request{name + " missing", name, content, true})
	}
	properties, _ := schema["properties"].(map[string]any)
	for _, name := range sorted(properties) {
		rules, _ := c.object(at.at("properties", name))
		for _, v := range vary(rules) {
			add(name, v.what, v.value, v.refused)
		}
	}
	return all
}

type variant struct {
	what    string
	value   any
	refused bool
}

// vary makes values that break a schema's rules, each by as little as can be, and some that just keep them.
func vary(rules map[string]any) (values []variant) {
	switch rules["type"] {
	case "string":
		values = append(values, variant{"of a number", 7, true})
	case "integer", "boolean":
		values = append(values, variant{"of a text", "x", true})
	case "array":
		values = append(values, variant{"of a number", 7, true})
	}
	if most, ok := whole(rules["maxLength"]); ok {
		values = append(values, variant{fmt.Sprintf("of %d characters", most+1), letters(most + 1), true}, variant{fmt.Sprintf("of %d characters", most), letters(most), false})
	}
	if least, ok := whole(rules["minLength"]); ok {
		values = append(values, variant{fmt.Sprintf("of %d characters", least-1), letters(least - 1), true}, variant{fmt.Sprintf("of %d characters", least), letters(least), false})
	}
	if rules["pattern"] != nil {
		values = append(values, variant{"of another form", "!", true})
	}
	if least, ok := whole(rules["minimum"]); ok {
		values = append(values, variant{fmt.Sprintf("of %d", least-1), least - 1, true}, variant{fmt.Sprintf("of %d", least), least, false})
	}
	if most, ok := whole(rules["maximum"]); ok {
		values = append(values, variant{fmt.Sprintf("of %d", most+1), most + 1, true}, variant{fmt.Sprintf("of %d", most), most, false})
	}
	if slices.Equal(list(rules["enum"]), []any{false}) {
		values = append(values, variant{"of true", true, true})
	}
	if most, ok := whole(rules["maxItems"]); ok {
		values = append(values, variant{fmt.Sprintf("of %d items", most+1), slices.Repeat([]string{"x"}, int(most)+1), true})
	}
	return values
}

func whole(content any) (int64, bool) {
	number, ok := content.(json.Number)
	if !ok {
		return 0, false
	}
	n, err := number.Int64()
	return n, err == nil
}

// letters is a text of n characters that is no word.
func letters(n int64) string {
	return strings.Repeat("qzxjkvbpygfwmucld", int(n)/17+1)[:n]
}

// Queries are queries of the operation that break what is said of one of its parameters.
func (c *Contract) Queries(o *Operation) []Request {
	var all []Request
	parameters, at := c.find(o.place.at("parameters"))
	for i := range list(parameters) {
		parameter, here := c.object(at.at(fmt.Sprint(i)))
		rules, _ := c.object(here.at("schema"))
		name, _ := parameter["name"].(string)
		if parameter["in"] != "query" || rules["type"] == "array" {
			continue
		}
		variants := vary(rules)
		if rules["type"] == "integer" && rules["minimum"] == nil && rules["maximum"] == nil { // what is not allowed is cut
			variants = append(variants, variant{"of -1", -1, false}, variant{"of 10^20", json.Number("100000000000000000000"), false})
		}
		for _, v := range variants {
			if v.value != 7 { // in a query everything is a text
				all = append(all, Request{name + " " + v.what, name, map[string]any{name: v.value}, v.refused})
			}
		}
	}
	return all
}

// Example is the document's example of the operation's body, nil if it has none.
func (c *Contract) Example(o *Operation) any {
	example, _ := c.find(o.place.at("requestBody", "content", "application/json", "example"))
	return example
}

// Statuses are the statuses that the operation answers with.
func (o *Operation) Statuses() []string { return slices.Sorted(maps.Keys(o.answers)) }

// At is what stands in a document at a path, nil if nothing does.
func (c *Contract) At(document string, path ...string) any {
	content, _ := c.find(place{document, path})
	return content
}
