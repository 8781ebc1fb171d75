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

// requestFilter refuses malformed requests, and requests for another host, before they are routed.
type requestFilter struct {
	common commonHeaders
	hosts  Hosts // nil: any
}

// wrap returns a handler that calls next for the requests that pass the filter.
func (f requestFilter) wrap(next fasthttp.RequestHandler) fasthttp.RequestHandler {
	return func(c *fasthttp.RequestCtx) {
		h := &c.Request.Header
		originForm(&c.Request)
		host := string(h.Host())
		switch problem := malformed(h); {
		case problem != "":
			c.SetConnectionClose() // a proxy may see other request boundaries in the rest of the connection than we do
			f.common.refuse(c, fiber.StatusBadRequest, chat.CodeBadRequest, problem)
		case f.hosts != nil && !f.hosts.allow(host):
			f.common.refuse(c, fiber.StatusForbidden, chat.CodeForbidden,
				fmt.Sprintf("this server does not accept the host name %.100q; its operator can allow it with PARLEY_HOSTS or PARLEY_PUBLIC_URL", hostOf(host)))
		case !slices.Contains(fiber.DefaultMethods, string(c.Method())):
			f.common.refuse(c, fiber.StatusMethodNotAllowed, chat.CodeBadRequest, "Method Not Allowed")
		case len(h.PeekAll(fiber.HeaderContentEncoding)) > 0:
			f.common.refuse(c, fiber.StatusUnsupportedMediaType, chat.CodeBadRequest, "Content-Encoding is not supported; send the body uncompressed")
		case bytes.HasPrefix(h.RequestURI(), []byte("//")):
			f.common.refuse(c, fiber.StatusNotFound, chat.CodeNotFound, "there is no such path; check the URL")
		default:
			next(c)
		}
	}
}

// originForm rewrites a request target in absolute form (RFC 9112) to a Host header and a path.
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

// malformed returns why a proxy may have read the request differently from fasthttp, which is lenient. It returns
// "" if the request is unambiguous.
func malformed(h *fasthttp.RequestHeader) string {
	switch target, protocol := h.RequestURI(), string(h.Protocol()); {
	case !bytes.HasPrefix(target, []byte("/")) || bytes.ContainsFunc(target, func(r rune) bool { return r <= ' ' || r == 0x7f }):
		return "the request target must be a path without spaces"
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
			return "a header line is malformed"
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
		return "the request must have exactly one Host header"
	case count["Content-Length"]+count["Transfer-Encoding"] > 1:
		return "the request must have only one Content-Length or Transfer-Encoding header"
	case count["Trailer"] > 0 || count["Transfer-Encoding"] > 0 && hasTrailers(h):
		return "trailers are not supported; send them as headers"
	}
	return ""
}

// hasTrailers reports whether trailer fields followed a chunked body. fasthttp adds them to the headers, so the
// headers then differ from what a fresh parse of the head gives.
func hasTrailers(h *fasthttp.RequestHeader) bool {
	raw := slices.Concat([]byte("GET / HTTP/1.1\r\n"), h.RawHeaders())
	var head, all fasthttp.RequestHeader
	if err := head.Read(bufio.NewReaderSize(bytes.NewReader(raw), len(raw))); err != nil {
		return true
	}
	h.CopyTo(&all)
	for _, header := range []*fasthttp.RequestHeader{&head, &all} { // these may differ without trailers
		header.SetMethod(fiber.MethodGet)
		header.SetRequestURI("/")
		header.SetHost("")
		header.SetContentLength(0)
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

// commonHeaders sets the headers of every response.
type commonHeaders struct {
	secure bool // adds HSTS
}

const hsts = "max-age=31536000" // a year

func (s commonHeaders) set(h *fasthttp.ResponseHeader) {
	if len(h.Peek(fiber.HeaderXRequestID)) == 0 { // the request never reached observed
		h.Set(fiber.HeaderXRequestID, NewID())
	}
	h.Set(fiber.HeaderXContentTypeOptions, "nosniff")
	h.Set(fiber.HeaderReferrerPolicy, "no-referrer")
	h.Set(fiber.HeaderCacheControl, "no-store") // the web page's files override it
	if s.secure {
		h.Set(fiber.HeaderStrictTransportSecurity, hsts)
	}
}

// middleware sets the headers on responses of routed requests.
func (s commonHeaders) middleware(c *fiber.Ctx) error {
	s.set(&c.Response().Header)
	return c.Next()
}

// refuse writes the error response of a request that is not routed.
func (s commonHeaders) refuse(c *fasthttp.RequestCtx, status int, code chat.Code, message string) {
	s.fill(&c.Response, status, FailureError{Code: code, Message: message})
}

func (s commonHeaders) fill(r *fasthttp.Response, status int, e FailureError) {
	s.set(&r.Header)
	r.SetStatusCode(status)
	r.Header.SetContentType(fiber.MIMEApplicationJSON)
	body, err := json.Marshal(Failure{e})
	if err == nil { // Failure always marshals
		r.SetBody(body)
	}
}
