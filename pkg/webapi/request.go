package webapi

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"mime"
	"net/netip"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/env"
	"github.com/parley-chat/parley/pkg/wire"
)

// NewID returns an opaque name of 130 random bits.
func NewID() string { return rand.Text() }

// Decode reads the request's JSON object into the struct that into points to, as strictly as frames
// of the socket are read. A missing body is an empty object.
func Decode(c *fiber.Ctx, into any) error {
	body := c.Request().Body() // as it came: Fiber's Body would undo a Content-Encoding, without a bound
	if len(body) == 0 {
		return nil
	}
	kind, _, err := mime.ParseMediaType(c.Get(fiber.HeaderContentType))
	if err != nil || kind != fiber.MIMEApplicationJSON {
		return fiber.ErrUnsupportedMediaType
	}
	return wire.Decode(body, into)
}

// RequireService lets only calls pass that carry the service credential, in constant time.
func RequireService(credential string) fiber.Handler {
	want := sha256.Sum256([]byte(credential))
	return func(c *fiber.Ctx) error {
		raw, _ := bearer(c.Get(fiber.HeaderAuthorization))
		got := sha256.Sum256([]byte(raw))
		if subtle.ConstantTimeCompare(got[:], want[:]) != 1 {
			return chat.Errorf(chat.CodeUnauthenticated, "the service credential is missing or wrong")
		}
		return c.Next()
	}
}

// CredentialFrom reads PARLEY_SERVICE_CREDENTIAL, which services show each other.
func CredentialFrom(r *env.Reader) string {
	credential := r.RequiredSecret("PARLEY_SERVICE_CREDENTIAL", "What the services show each other on their internal listeners: 32 random characters at least, the same for all.")
	if credential != "" && len(credential) < 32 {
		r.Mistake("PARLEY_SERVICE_CREDENTIAL has %d characters, 32 are needed", len(credential))
	}
	return credential
}

// TrustedProxiesFrom reads PARLEY_TRUSTED_PROXIES.
func TrustedProxiesFrom(r *env.Reader) []netip.Prefix {
	return r.Prefixes("PARLEY_TRUSTED_PROXIES", "", "Networks of the proxies whose `X-Forwarded-For` is believed, such as `10.0.0.0/8`, comma-separated.")
}

// ClientIP is the address that the request came from, seen through trusted proxies.
func ClientIP(c *fiber.Ctx) netip.Addr {
	ip, _ := c.Locals(clientIPKey{}).(netip.Addr)
	return ip
}

// clientIP walks X-Forwarded-For from the right, past the proxies that we trust: what stands left of
// the first stranger is the stranger's word.
func clientIP(c *fiber.Ctx, trusted []netip.Prefix) netip.Addr {
	ip, _ := netip.AddrFromSlice(c.Context().RemoteIP())
	ip = ip.Unmap()
	var hops []string
	for _, line := range c.Request().Header.PeekAll(fiber.HeaderXForwardedFor) { // some proxies add a line of their own
		hops = append(hops, strings.Split(string(line), ",")...)
	}
	for i := len(hops) - 1; i >= 0 && within(ip, trusted); i-- {
		hop, ok := hopAddress(strings.TrimSpace(hops[i]))
		if !ok {
			break
		}
		ip = hop
	}
	return ip
}

// hopAddress reads an address as proxies write it: with or without a port, IPv6 in brackets or not.
func hopAddress(text string) (netip.Addr, bool) {
	if peer, err := netip.ParseAddrPort(text); err == nil {
		text = peer.Addr().String()
	} else if strings.HasPrefix(text, "[") && strings.HasSuffix(text, "]") {
		text = text[1 : len(text)-1]
	}
	ip, err := netip.ParseAddr(text)
	return ip.Unmap().WithZone(""), err == nil
}

func within(ip netip.Addr, networks []netip.Prefix) bool {
	for _, network := range networks {
		if network.Contains(ip) {
			return true
		}
	}
	return false
}

// IPKey is the part of an address that one subscriber has for itself: an IPv4 address, an IPv6 /64.
func IPKey(ip netip.Addr) string {
	if ip.Is6() {
		if prefix, err := ip.Prefix(64); err == nil {
			return prefix.Masked().String()
		}
	}
	return ip.String()
}
