package contract

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

const docs = "../../docs"

func loaded(t *testing.T) *Contract {
	t.Helper()
	c, err := Load(docs)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// The documents are what they say they are, by the schemas of those who made the formats.
func TestDocumentsAreOfTheirFormats(t *testing.T) {
	c := loaded(t)
	for document, official := range map[string]string{OpenAPI: "openapi-3.1.json", AsyncAPI: "asyncapi-3.0.0.json"} {
		text, err := os.ReadFile(filepath.Join("testdata", official))
		if err != nil {
			t.Fatal(err)
		}
		content, err := decode(text)
		if err != nil {
			t.Fatal(err)
		}
		compiler := jsonschema.NewCompiler()
		if err = compiler.AddResource(base+official, content); err != nil {
			t.Fatal(err)
		}
		schema, err := compiler.Compile(base + official)
		if err != nil {
			t.Fatal(err)
		}
		if err = schema.Validate(c.Document(document)); err != nil {
			t.Errorf("%s: %v", document, err)
		}
	}
}

// Every example fits what it is an example of, and every reference leads somewhere.
func TestExamplesFit(t *testing.T) {
	c := loaded(t)
	compiler := jsonschema.NewCompiler()
	compiler.DefaultDraft(jsonschema.Draft2020)
	for name, document := range c.closed {
		if err := compiler.AddResource(base+name, document); err != nil {
			t.Fatal(err)
		}
	}
	examples := 0
	fits := func(at place, example any) {
		t.Helper()
		examples++
		if err := c.compile(compiler, at); err != nil {
			t.Fatal(err)
		}
		if text, ok := example.(string); ok && strings.HasPrefix(text, ": parley") {
			return // a stream is no JSON
		}
		if err := c.validate(at, example); err != nil {
			t.Errorf("%s: the example %v: %v", at.name(), example, err)
		}
	}
	var walk func(at place, content any)
	walk = func(at place, content any) {
		switch content := content.(type) {
		case map[string]any:
			if reference, ok := content["$ref"].(string); ok {
				if found, _ := c.find(at.refers(reference)); found == nil {
					t.Errorf("%s: %s leads nowhere", at.name(), reference)
				}
				return
			}
			if example, ok := content["example"]; ok && content["schema"] != nil {
				fits(at.at("schema"), example)
			}
			for _, example := range list(content["examples"]) {
				if message, ok := example.(map[string]any); ok && message["payload"] != nil {
					fits(at.at("payload"), message["payload"])
				} else {
					fits(at, example)
				}
			}
			for name, inner := range content {
				if name != "example" && name != "examples" {
					walk(at.at(name), inner)
				}
			}
		case []any:
			for i, inner := range content {
				walk(at.at(fmt.Sprint(i)), inner)
			}
		}
	}
	for name, document := range c.closed {
		walk(place{document: name}, document)
	}
	if examples < 50 {
		t.Errorf("only %d examples were found", examples)
	}
}

// What breaks the contract is noticed: otherwise all that rests on it would be worth nothing.
func TestBreachesAreNoticed(t *testing.T) {
	c := loaded(t)
	headers := func(changes ...string) http.Header {
		h := http.Header{
			"X-Request-Id": {strings.Repeat("A", 26)}, "Cache-Control": {"no-store"}, "X-Content-Type-Options": {"nosniff"},
			"Referrer-Policy": {"no-referrer"}, "Content-Type": {"application/json"},
		}
		for _, change := range changes {
			name, value, _ := strings.Cut(change, ": ")
			h.Set(name, value)
			if value == "" {
				h.Del(name)
			}
		}
		return h
	}
	const me = `{"user":{"id":"U","name":"ada","kind":"user","staff":false}}`
	for name, breach := range map[string]struct {
		method, path string
		status       int
		header       http.Header
		body         string
		fine         bool
	}{
		"nothing":               {"GET", "/api/auth/me", 200, headers(), me, true},
		"an unknown field":      {"GET", "/api/auth/me", 200, headers(), strings.Replace(me, `"id"`, `"age":3,"id"`, 1), false},
		"a field on top":        {"GET", "/api/auth/me", 200, headers(), strings.Replace(me, `{"user"`, `{"age":3,"user"`, 1), false},
		"a field that is gone":  {"GET", "/api/auth/me", 200, headers(), strings.Replace(me, `,"staff":false`, "", 1), false},
		"a value of no meaning": {"GET", "/api/auth/me", 200, headers(), strings.Replace(me, `"user","staff"`, `"robot","staff"`, 1), false},
		"another status":        {"GET", "/api/auth/me", 202, headers(), me, false},
		"another code":          {"GET", "/api/auth/me", 401, headers(), `{"error":{"code":"forbidden","message":"no"}}`, false},
		"another media type":    {"GET", "/api/auth/me", 200, headers("Content-Type: text/plain"), me, false},
		"a header more":         {"GET", "/api/auth/me", 200, headers("X-Powered-By: coal"), me, false},
		"a header missing":      {"GET", "/api/auth/me", 200, headers("X-Request-Id: "), me, false},
		"a body more":           {"DELETE", "/api/rooms/a", 204, headers(), "gone", false},
		"an unknown path":       {"GET", "/api/coal", 200, headers(), "{}", false},
		"an unknown method":     {"PUT", "/api/auth/me", 200, headers(), me, false},
	} {
		err := c.answer(breach.method, breach.path, breach.status, breach.header, []byte(breach.body), func(string) {})
		if (err == nil) != breach.fine {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, breach := range map[string]struct {
		wrote, read string
		fine        bool
	}{
		"nothing":              {`{"type":"send","id":1}`, `{"type":"sent","id":1,"room":"a","message":1}`, true},
		"an unknown frame":     {`{"type":"send","id":1}`, `{"type":"coal"}`, false},
		"an unknown field":     {`{"type":"send","id":1}`, `{"type":"sent","id":1,"room":"a","message":1,"coal":1}`, false},
		"another's answer":     {`{"type":"join","id":1}`, `{"type":"sent","id":1,"room":"a","message":1}`, false},
		"an answer to nothing": {`{"type":"send","id":2}`, `{"type":"sent","id":1,"room":"a","message":1}`, false},
		"an undescribed code":  {`{"type":"leave","id":1}`, `{"type":"error","id":1,"code":"conflict","message":"no"}`, false},
		"a client's frame":     {`{"type":"send","id":1}`, `{"type":"leave","room":"a"}`, false},
	} {
		var breaches []error
		traffic := c.Watch(func(err error) { breaches = append(breaches, err) })
		socket := traffic.Socket()
		socket.greeted = true
		socket.Wrote([]byte(breach.wrote))
		socket.Read([]byte(breach.read))
		if (len(breaches) == 0) != breach.fine {
			t.Errorf("%s: %v", name, breaches)
		}
	}
}

// An answer without an id may follow an id that is no number.
func TestAnIDThatIsNoNumberIsNone(t *testing.T) {
	documents, err := Load("../../docs")
	if err != nil {
		t.Fatal(err)
	}
	traffic := documents.Watch(func(err error) { t.Error(err) })
	socket := traffic.Socket()
	socket.Wrote([]byte(`{"type":"join","id":"seven","room":"general"}`))
	socket.Read([]byte(`{"type":"error","code":"bad_request","message":"no"}`))
}
