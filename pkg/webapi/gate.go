package webapi

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"github.com/parley-chat/parley/pkg/chat"
)

// gate refuses requests that are none, or none for us, before they are routed.
type gate struct {
	answers standard
	hosts   Hosts // nil: any
}

// before puts the gate before next.
func (g gate) before(next fasthttp.RequestHandler) fasthttp.RequestHandler {
	return func(c *fasthttp.RequestCtx) {
		h := &c.Request.Header
		originForm(&c.Request)
		host := string(h.Host())
		switch problem := malformed(h); {
		case problem != "":
			c.SetConnectionClose() // whatever else lies on it was cut up by rules that are not those of others
			g.answers.refuse(c, fiber.StatusBadRequest, chat.CodeBadRequest, problem)
		case g.hosts != nil && !g.hosts.allow(host):
			g.answers.refuse(c, fiber.StatusForbidden, chat.CodeForbidden,
				fmt.Sprintf("this server does not go by the name %.100q: whoever runs it can let the name in with PARLEY_HOSTS or PARLEY_PUBLIC_URL", hostOf(host)))
		case !slices.Contains(fiber.DefaultMethods, string(c.Method())):
			g.answers.refuse(c, fiber.StatusMethodNotAllowed, chat.CodeBadRequest, "Method Not Allowed")
		case len(h.PeekAll(fiber.HeaderContentEncoding)) > 0:
			g.answers.refuse(c, fiber.StatusUnsupportedMediaType, chat.CodeBadRequest, "no Content-Encoding is taken: send the body as it is")
		case bytes.HasPrefix(h.RequestURI(), []byte("//")):
			g.answers.refuse(c, fiber.StatusNotFound, chat.CodeNotFound, "there is nothing here")
		default:
			next(c)
		}
	}
}

// originForm makes a target of the absolute form what it would be without: the Host header and a path.
func originForm(r *fasthttp.Request) {
	target := string(r.Header.RequestURI())
	scheme, rest, ok := strings.Cut(target, "://")
	if lower := strings.ToLower(scheme); !ok || lower != "http" && lower != "https" {
		return
	}
	at := strings.IndexAny(rest, "/?")
	if at < 0 {
		at = len(rest)
	}
	r.Header.SetHost(rest[:at])
	if !strings.HasPrefix(rest[at:], "/") {
		rest, at = "/"+rest[at:], 0
	}
	r.SetRequestURI(rest[at:])
}

// malformed says what is wrong with a request that a proxy before us may have read in another way than
// fasthttp, which is lenient; "" for nothing.
func malformed(h *fasthttp.RequestHeader) string {
	switch target, protocol := h.RequestURI(), string(h.Protocol()); {
	case !bytes.HasPrefix(target, []byte("/")) || bytes.ContainsFunc(target, func(r rune) bool { return r <= ' ' || r == 0x7f }):
		return "the target must be a path, without blanks"
	case protocol != "HTTP/1.1" && protocol != "HTTP/1.0":
		return "the protocol must be HTTP/1.1"
	}
	count := map[string]int{}
	for raw := h.RawHeaders(); len(raw) > 0; {
		line, rest, ended := bytes.Cut(raw, []byte("\r\n"))
		if len(line) == 0 {
			break
		}
		name, value, ok := bytes.Cut(line, []byte(":"))
		if !ended || !ok || !isToken(name) || bytes.ContainsFunc(value, isControl) {
			return "a line of the head is malformed"
		}
		for _, framing := range []string{"Host", "Content-Length", "Transfer-Encoding", "Trailer"} {
			if strings.EqualFold(string(name), framing) {
				count[framing]++
			}
		}
		raw = rest
	}
	switch {
	case count["Host"] > 1 || len(h.Host()) == 0 && string(h.Protocol()) == "HTTP/1.1":
		return "there must be one Host"
	case count["Content-Length"]+count["Transfer-Encoding"] > 1:
		return "there must be one Content-Length or one Transfer-Encoding"
	case count["Trailer"] > 0 || count["Transfer-Encoding"] > 0 && hasTrailers(h):
		return "no trailers are taken"
	}
	return ""
}

// hasTrailers says whether fields came behind a chunked body: fasthttp has put them among those of the head,
// which read alone is then another.
func hasTrailers(h *fasthttp.RequestHeader) bool {
	raw := slices.Concat([]byte("GET / HTTP/1.1\r\n"), h.RawHeaders())
	var head, all fasthttp.RequestHeader
	if err := head.Read(bufio.NewReaderSize(bytes.NewReader(raw), len(raw))); err != nil {
		return true
	}
	h.CopyTo(&all)
	for _, one := range []*fasthttp.RequestHeader{&head, &all} { // what else differs
		one.SetMethod(fiber.MethodGet)
		one.SetRequestURI("/")
		one.SetHost("")
		one.SetContentLength(0)
	}
	return head.String() != all.String()
}

func isToken(name []byte) bool {
	return len(name) > 0 && !bytes.ContainsFunc(name, func(r rune) bool {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
		return !letter && (r >= 0x80 || !strings.ContainsRune("!#$%&'*+-.^_`|~", r))
	})
}

func isControl(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }

// standard is what every answer has.
type standard struct {
	secure bool // browsers come by TLS, and shall come by nothing else
}

// hsts holds for a year.
const hsts = "max-age=31536000"

func (s standard) set(h *fasthttp.ResponseHeader) {
	if len(h.Peek(fiber.HeaderXRequestID)) == 0 { // where the request did not come to us
		h.Set(fiber.HeaderXRequestID, NewID())
	}
	h.Set(fiber.HeaderXContentTypeOptions, "nosniff")
	h.Set(fiber.HeaderReferrerPolicy, "no-referrer")
	h.Set(fiber.HeaderCacheControl, "no-store") // the web page's files say otherwise
	if s.secure {
		h.Set(fiber.HeaderStrictTransportSecurity, hsts)
	}
}

// headers sets what every answer has on one that is routed.
func (s standard) headers(c *fiber.Ctx) error {
	s.set(&c.Response().Header)
	return c.Next()
}

// refuse answers a request that is not routed, in the error form.
func (s standard) refuse(c *fasthttp.RequestCtx, status int, code chat.Code, message string) {
	s.fill(&c.Response, status, chat.ErrorBody{Code: code, Message: message})
}

func (s standard) fill(r *fasthttp.Response, status int, e chat.ErrorBody) {
	s.set(&r.Header)
	r.SetStatusCode(status)
	r.Header.SetContentType(fiber.MIMEApplicationJSON)
	body, err := json.Marshal(Failure{e})
	if err == nil { // it can't fail
		r.SetBody(body)
	}
}
