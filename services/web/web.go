// Package web serves the web page and its JavaScript client: static files, compiled into the program
// as they are. Everything that moves comes from the other services, at the same origin.
package web

import (
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"io/fs"
	"net/http"
	"path"
	"strings"

	"github.com/gofiber/fiber/v2"
)

//go:embed assets
var assets embed.FS

// policy lets the page run its own files and talk to its own origin, and nothing else: no script or
// style in the page itself, no frame around it, and no text that becomes markup.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"

// Service is the page. It holds no state.
type Service struct {
	files []file
}

type file struct {
	path, kind, tag string
	body            []byte
}

// New reads the compiled-in files. It fails only where the program was built with a file of a kind
// that it can't name.
func New() (*Service, error) {
	s := &Service{}
	err := fs.WalkDir(assets, "assets", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		body, err := assets.ReadFile(name)
		if err != nil {
			return err
		}
		kind, err := contentType(name)
		if err != nil {
			return err
		}
		sum := sha256.Sum256(body)
		s.files = append(s.files, file{
			path: strings.TrimPrefix(name, "assets"),
			kind: kind,
			tag:  `"` + base64.RawURLEncoding.EncodeToString(sum[:18]) + `"`,
			body: body,
		})
		return nil
	})
	return s, err
}

// Routes serves the files on router: the page at /, the rest by name.
func (s *Service) Routes(router fiber.Router) {
	for _, f := range s.files {
		router.Get(f.path, f.serve)
		if f.path == "/index.html" {
			router.Get("/", f.serve)
		}
	}
}

// serve answers the file, or that the browser's copy is still right. Browsers ask each time: files of
// different versions must not meet in one page.
func (f file) serve(c *fiber.Ctx) error {
	c.Set(fiber.HeaderETag, f.tag)
	c.Set(fiber.HeaderCacheControl, "no-cache")
	c.Set(fiber.HeaderContentSecurityPolicy, policy)
	c.Set("Cross-Origin-Opener-Policy", "same-origin")
	c.Set(fiber.HeaderReferrerPolicy, "no-referrer")
	c.Set(fiber.HeaderXContentTypeOptions, "nosniff")
	if c.Fresh() {
		return c.SendStatus(http.StatusNotModified)
	}
	c.Set(fiber.HeaderContentType, f.kind)
	return c.Send(f.body)
}

// contentType is a table of our own, since the machine's differs from one machine to the next.
func contentType(name string) (string, error) {
	switch path.Ext(name) {
	case ".html":
		return "text/html; charset=utf-8", nil
	case ".css":
		return "text/css; charset=utf-8", nil
	case ".js":
		return "text/javascript; charset=utf-8", nil
	case ".ts":
		return "text/plain; charset=utf-8", nil
	case ".svg":
		return "image/svg+xml", nil
	default:
		return "", &fs.PathError{Op: "tell the content type of", Path: name, Err: fs.ErrInvalid}
	}
}
