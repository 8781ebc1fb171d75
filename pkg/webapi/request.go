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

// NewID returns an opaque id of 130 random bits.
func NewID() string { return rand.Text() }

// Decode reads the request's JSON object into the struct that into points to. It is as strict as for frames
// of the socket. An empty body counts as an empty object.
func Decode(c *fiber.Ctx, into any) error {
	body := c.Request().Body() // raw: Fiber's Body would decompress it without a bound
	if len(body) == 0 {
		return nil
	}
	kind, _, err := mime.ParseMediaType(c.Get(fiber.HeaderContentType))
	if err != nil || kind != fiber.MIMEApplicationJSON {
		return fiber.ErrUnsupportedMediaType
	}
	return wire.Decode(body, into)
}

// RequireService refuses calls without the service credential. It compares in constant time.
func RequireService(credential string) fiber.Handler {
	want := sha256.Sum256([]byte(credential))
	return func(c *fiber.Ctx) error {
		raw, _ := bearer(c.Get(fiber.HeaderAuthorization))
		got := sha256.Sum256([]byte(raw))
		if subtle.ConstantTimeCompare(got[:], want[:]) != 1 {
			return chat.Errorf(chat.CodeUnauthenticated, "the service credential is missing or wrong; check PARLEY_SERVICE_CREDENTIAL")
		}
		return c.Next()
	}
}

// CredentialFrom reads PARLEY_SERVICE_CREDENTIAL, by which services authenticate to each other.
func CredentialFrom(r *env.Reader) string {
	credential := r.RequiredSecret("PARLEY_SERVICE_CREDENTIAL", "The secret by which services authenticate to each other on their internal listeners: at least 32 random characters, the same for all services.")
	if credential != "" && len(credential) < 32 {
		r.Mistake("PARLEY_SERVICE_CREDENTIAL has %d characters; at least 32 are needed", len(credential))
	}
	return credential
}

// TrustedProxiesFrom reads PARLEY_TRUSTED_PROXIES.
func TrustedProxiesFrom(r *env.Reader) []netip.Prefix {
	return r.Prefixes("PARLEY_TRUSTED_PROXIES", "", "Networks of the proxies whose `X-Forwarded-For` is trusted, comma-separated, such as `10.0.0.0/8`.")
}

// ClientIP returns the address of the client. Behind trusted proxies that is the address that they report.
func ClientIP(c *fiber.Ctx) netip.Addr {
	ip, _ := c.Locals(clientIPKey{}).(netip.Addr)
	return ip
}

// clientIP walks X-Forwarded-For from right to left, past trusted proxies. It stops at the first address that is not
// a trusted proxy, because that client may have made up everything to the left.
func clientIP(c *fiber.Ctx, trusted []netip.Prefix) netip.Addr {
	ip, _ := netip.AddrFromSlice(c.Context().RemoteIP())
	ip = ip.Unmap()
	var hops []string
	for _, line := range c.Request().Header.PeekAll(fiber.HeaderXForwardedFor) { // some proxies add a header line of their own
		hops = append(hops, strings.Split(string(line), ",")...)
	}
	for i := len(hops) - 1; i >= 0 && containedIn(ip, trusted); i-- {
		hop, ok := hopAddress(strings.TrimSpace(hops[i]))
		if !ok {
			break
		}
		ip = hop
	}
	return ip
}

// hopAddress parses an address as proxies write it: with or without a port, IPv6 with or without brackets.
func hopAddress(text string) (netip.Addr, bool) {
	if peer, err := netip.ParseAddrPort(text); err == nil {
		text = peer.Addr().String()
	} else if strings.HasPrefix(text, "[") && strings.HasSuffix(text, "]") {
		text = text[1 : len(text)-1]
	}
	ip, err := netip.ParseAddr(text)
	return ip.Unmap().WithZone(""), err == nil
}

func containedIn(ip netip.Addr, networks []netip.Prefix) bool {
	for _, network := range networks {
		if network.Contains(ip) {
			return true
		}
	}
	return false
}

// IPKey returns the part of an address that identifies a client for rate limits: an IPv4 address or an IPv6 /64.
func IPKey(ip netip.Addr) string {
	if ip.Is6() {
		if prefix, err := ip.Prefix(64); err == nil {
			return prefix.Masked().String()
		}
	}
	return ip.String()
}
