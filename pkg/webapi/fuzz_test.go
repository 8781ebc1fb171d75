package webapi

import (
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/gofiber/fiber/v2"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/parley-chat/parley/pkg/chat"
)

// Whatever headers and body come in, the answer has the form of the contract; an origin is let in only
// if it is the host's own or listed, and an address is believed only of a proxy that we trust.
func FuzzRequest(f *testing.F) {
	trusted := []netip.Prefix{netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("10.0.0.0/8")} // tests come from 0.0.0.0
	app := New(Options{Service: "fuzz", Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry(), TrustedProxies: trusted})
	browsers := Browsers{Origins: []string{"https://embed.example.org"}}
	app.Post("/", func(c *fiber.Ctx) error {
		var into struct {
			Body string `json:"body"`
		}
		if err := browsers.CheckOrigin(c); err != nil {
			c.Set("Refused", "1")
		}
		c.Set("Client", ClientIP(c).String())
		if raw, ok := bearer(c.Get(fiber.HeaderAuthorization)); ok {
			c.Set("Bearer", raw)
		}
		if err := Decode(c, &into); err != nil {
			return err
		}
		return c.JSON(into)
	})
	f.Fuzz(func(t *testing.T, contentType, authorization, origin, site, forwarded, body string) {
		request := httptest.NewRequest(http.MethodPost, "http://chat.example.org/", strings.NewReader(body))
		for name, value := range map[string]string{"Content-Type": contentType, "Authorization": authorization, "Origin": origin, "Sec-Fetch-Site": site, "X-Forwarded-For": forwarded} {
			if strings.ContainsFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) || len(value) > 2000 {
				return // net/http sends no such header
			}
			request.Header.Set(name, value)
		}
		response, err := app.Test(request, 5000)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = response.Body.Close() }()
		content, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		var failure Failure
		switch response.StatusCode {
		case http.StatusOK:
			var echo, sent struct {
				Body *string `json:"body"`
			}
			if json.Unmarshal(content, &echo) != nil || body != "" && json.Unmarshal([]byte(body), &sent) != nil {
				t.Fatalf("%q -> %q", body, content)
			}
		case http.StatusBadRequest, http.StatusUnsupportedMediaType:
			if json.Unmarshal(content, &failure) != nil || failure.Error.Code != chat.CodeBadRequest || failure.Error.Message == "" {
				t.Fatalf("%q: %d %q", body, response.StatusCode, content)
			}
		default:
			t.Fatalf("%q: %d %q", body, response.StatusCode, content)
		}
		own := slices.Contains([]string{"http://chat.example.org", "https://chat.example.org"}, normal(origin))
		ours := own || normal(origin) == "https://embed.example.org" || strings.TrimSpace(origin) == "" && strings.TrimSpace(site) == "same-origin"
		if letIn := response.Header.Get("Refused") == ""; letIn != ours && strings.TrimSpace(origin) == origin {
			t.Errorf("origin %q, site %q: let in is %v", origin, site, letIn)
		}
		client, err := netip.ParseAddr(response.Header.Get("Client"))
		if err != nil || client.String() != "0.0.0.0" && !strings.Contains(forwarded, ",") && addressOf(forwarded) != client {
			t.Errorf("%q came from %v, %v", forwarded, client, err)
		}
		if raw := response.Header.Get("Bearer"); raw != "" && !strings.HasSuffix(strings.TrimSpace(authorization), raw) {
			t.Errorf("%q is the bearer of %q", raw, authorization)
		}
	})
}

// normal is an origin without what browsers leave out, "" for none.
func normal(text string) string {
	o, err := origin(text)
	if err != nil {
		return ""
	}
	return o
}

// addressOf is the address of a hop without its port.
func addressOf(text string) netip.Addr {
	text = strings.TrimSpace(text)
	if peer, err := netip.ParseAddrPort(text); err == nil {
		return peer.Addr().Unmap().WithZone("")
	}
	address, _ := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(text, "["), "]"))
	return address.Unmap().WithZone("")
}

// What another service answers instead of an error in form is an error all the same, never a success.
func FuzzFailure(f *testing.F) {
	f.Fuzz(func(t *testing.T, status uint16, content []byte) {
		err := failure("http://rooms", int(status), content)
		if err == nil {
			t.Fatal("no error")
		}
		if refused, ok := errors.AsType[*chat.Error](err); ok && (refused.Code == "" || refused.RetryAfter < 0) {
			t.Errorf("%q: %+v", content, refused)
		}
	})
}
