// Package web serves the web page and its JavaScript client: static files that are embedded in the program. All
// dynamic content comes from the other services, at the same origin.
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

// policy is the Content-Security-Policy. The page may only load its own files and call its own origin. Inline scripts
// and styles, framing, and turning text into markup are forbidden.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"

// Service serves the page. It has no state.
type Service struct {
	files []file
}

type file struct {
	path, contentType, etag string
	body                    []byte
}

// New reads the embedded files. It only fails if a file has an extension without a known content type.
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
		kind, err := contentTypeOf(name)
		if err != nil {
			return err
		}
		sum := sha256.Sum256(body)
		s.files = append(s.files, file{
			path:        strings.TrimPrefix(name, "assets"),
			contentType: kind,
			etag:        `"` + base64.RawURLEncoding.EncodeToString(sum[:18]) + `"`,
			body:        body,
		})
		return nil
	})
	return s, err
}

// Routes serves the page at / and every file by its name.
func (s *Service) Routes(router fiber.Router) {
	for _, f := range s.files {
		router.Get(f.path, f.serve)
		if f.path == "/index.html" {
			router.Get("/", f.serve)
		}
	}
}

// serve sends the file, or 304 if the browser's copy is current. Browsers must revalidate each time, because a page must
// not mix files of different versions.
func (f file) serve(c *fiber.Ctx) error {
	c.Set(fiber.HeaderETag, f.etag)
	c.Set(fiber.HeaderCacheControl, "no-cache")
	c.Set(fiber.HeaderContentSecurityPolicy, policy)
	c.Set("Cross-Origin-Opener-Policy", "same-origin")
	c.Set(fiber.HeaderReferrerPolicy, "no-referrer")
	c.Set(fiber.HeaderXContentTypeOptions, "nosniff")
	if c.Fresh() {
		return c.SendStatus(http.StatusNotModified)
	}
	c.Set(fiber.HeaderContentType, f.contentType)
	return c.Send(f.body)
}

// contentTypeOf has a table of its own, because the operating system's table differs between machines.
func contentTypeOf(name string) (string, error) {
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
		return "", &fs.PathError{Op: "find the content type of", Path: name, Err: fs.ErrInvalid}
	}
}
