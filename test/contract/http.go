package contract

import (
	"fmt"
	"mime"
	"net/http"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// Operation is a call that openapi.yaml describes.
type Operation struct {
	ID, Method, Path string
	place            place
	answers          map[string]*reply // by status
}

// reply is one answer of an operation.
type reply struct {
	headers map[string]*header
	media   string // of the body, "" for none
	schema  place
}

type header struct {
	required bool
	schema   place
}

// transportHeaders are HTTP's own.
func transportHeaders() []string {
	return []string{"Date", "Content-Length", "Content-Type", "Connection", "Transfer-Encoding"}
}

// Operations are the calls, by path and method.
func (c *Contract) Operations() []*Operation { return c.operations }

func (c *Contract) readOpenAPI(compiler *jsonschema.Compiler) error {
	root := place{document: OpenAPI}
	var err error
	if c.everywhere, err = c.headers(compiler, root.at("components", "headers"), true); err != nil {
		return err
	}
	if err = c.compile(compiler, failure()); err != nil {
		return err
	}
	paths, _ := c.object(root.at("paths"))
	for _, path := range sorted(paths) {
		item, _ := c.object(root.at("paths", path))
		for _, method := range []string{"get", "post", "put", "patch", "delete"} {
			if item[method] == nil {
				continue
			}
			operation := &Operation{Method: strings.ToUpper(method), Path: path, place: root.at("paths", path, method), answers: map[string]*reply{}}
			if err = c.readOperation(compiler, operation); err != nil {
				return fmt.Errorf("%s %s: %w", operation.Method, path, err)
			}
			c.operations = append(c.operations, operation)
		}
	}
	return nil
}

func failure() place {
	return place{document: OpenAPI, path: []string{"components", "schemas", "Failure"}}
}

func (c *Contract) readOperation(compiler *jsonschema.Compiler, o *Operation) (err error) {
	described, _ := c.object(o.place)
	o.ID, _ = described["operationId"].(string)
	responses, _ := c.object(o.place.at("responses"))
	for status := range responses {
		_, at := c.find(o.place.at("responses", status))
		r := &reply{}
		if r.headers, err = c.headers(compiler, at.at("headers"), false); err != nil {
			return err
		}
		content, _ := c.object(at.at("content"))
		for media := range content {
			r.media, r.schema = media, at.at("content", media, "schema")
			if err = c.compile(compiler, r.schema); err != nil {
				return err
			}
		}
		o.answers[status] = r
	}
	if described["requestBody"] != nil {
		return c.compile(compiler, o.body())
	}
	return nil
}

// body is the schema of the request's body.
func (o *Operation) body() place {
	return o.place.at("requestBody", "content", "application/json", "schema")
}

// headers reads the headers described at p; everywhere chooses those that every answer has.
func (c *Contract) headers(compiler *jsonschema.Compiler, p place, everywhere bool) (map[string]*header, error) {
	named, _ := c.object(p)
	headers := map[string]*header{}
	for name := range named {
		described, at := c.object(p.at(name))
		if all, _ := described["x-on-every-answer"].(bool); all != everywhere {
			continue
		}
		required, _ := described["required"].(bool)
		headers[http.CanonicalHeaderKey(name)] = &header{required, at.at("schema")}
		if err := c.compile(compiler, at.at("schema")); err != nil {
			return nil, err
		}
	}
	return headers, nil
}

// operation finds what a request asks for, and whether its path is described at all.
func (c *Contract) operation(method, path string) (found *Operation, known bool) {
	if method == http.MethodHead {
		method = http.MethodGet
	}
	for _, o := range c.operations {
		if matches(o.Path, path) {
			known = true
			if o.Method == method {
				return o, true
			}
		}
	}
	return nil, known
}

func matches(template, path string) bool {
	want, got := strings.Split(template, "/"), strings.Split(path, "/")
	return slices.EqualFunc(want, got, func(want, got string) bool {
		return want == got || strings.HasPrefix(want, "{") && got != ""
	})
}

// answer checks an answer whose body has been read; nil is a body that is a stream or a socket.
func (c *Contract) answer(method, path string, status int, headers http.Header, body []byte, note func(string)) error {
	o, known := c.operation(method, path)
	if o == nil {
		return c.stray(known, status, body)
	}
	r := o.answers[fmt.Sprint(status)]
	if r == nil {
		return fmt.Errorf("%s answers %d, which is not described", o.ID, status) //nolint:err113 // a finding
	}
	if err := c.checkHeaders(r, headers); err != nil {
		return fmt.Errorf("%s answers %d: %w", o.ID, status, err)
	}
	note(fmt.Sprintf("%s answers %d", o.ID, status))
	if body == nil || method == http.MethodHead {
		return nil
	}
	if r.media == "" {
		if len(body) > 0 {
			return fmt.Errorf("%s answers %d with a body that is not described: %s", o.ID, status, body) //nolint:err113 // a finding
		}
		return nil
	}
	if kind, _, err := mime.ParseMediaType(headers.Get("Content-Type")); err != nil || kind != r.media {
		return fmt.Errorf("%s answers %d as %q, not as %s", o.ID, status, headers.Get("Content-Type"), r.media) //nolint:err113 // a finding
	}
	content, err := decode(body)
	if err == nil {
		err = c.validate(r.schema, content)
	}
	if err != nil {
		return fmt.Errorf("%s answers %d with %s: %w", o.ID, status, body, err)
	}
	c.fields(r.schema, content, note)
	return nil
}

// stray checks the answer to what is not described.
func (c *Contract) stray(known bool, status int, body []byte) error {
	want, code := http.StatusNotFound, "not_found"
	if known {
		want, code = http.StatusMethodNotAllowed, "bad_request"
	}
	content, err := decode(body)
	if err == nil {
		err = c.validate(failure(), content)
	}
	if err == nil && (status != want || !strings.Contains(string(body), `"code":"`+code+`"`)) {
		err = fmt.Errorf("want %d %s", want, code) //nolint:err113 // a finding
	}
	if err != nil {
		return fmt.Errorf("what is not described is answered with %d %s: %w", status, body, err)
	}
	return nil
}

func (c *Contract) checkHeaders(r *reply, got http.Header) error {
	for name, values := range got {
		h := r.headers[name]
		if h == nil {
			h = c.everywhere[name]
		}
		if h == nil && slices.Contains(transportHeaders(), name) {
			continue
		}
		if h == nil {
			return fmt.Errorf("the header %s: %q is not described", name, values) //nolint:err113 // a finding
		}
		for _, value := range values {
			if err := c.validate(h.schema, value); err != nil {
				return fmt.Errorf("the header %s: %q: %w", name, value, err)
			}
		}
	}
	for _, described := range []map[string]*header{r.headers, c.everywhere} {
		for name, h := range described {
			if h.required && got.Get(name) == "" {
				return fmt.Errorf("the header %s is missing", name) //nolint:err113 // a finding
			}
		}
	}
	return nil
}
