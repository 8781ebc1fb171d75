package webapi

import (
	"errors"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/net/idna"

	"github.com/parley-chat/parley/pkg/env"
)

var (
	errOriginForm = errors.New("it must look like https://chat.example.org or http://chat.example.org:8080")
	errHostForm   = errors.New("it must be a host name or an address, optionally with a port")
)

// origin returns text in the form in which browsers send origins: scheme and host in lower case, the host in ASCII,
// no default port.
func origin(text string) (string, error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.User != nil || u.Path != "" && u.Path != "/" ||
		u.RawQuery != "" || u.Fragment != "" || strings.HasSuffix(text, "#") || strings.HasSuffix(text, "?") {
		return "", errOriginForm
	}
	host, err := hostName(u.Hostname())
	if err != nil {
		return "", err
	}
	port := u.Port()
	if u.Scheme == "http" && port == "80" || u.Scheme == "https" && port == "443" {
		port = ""
	}
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if port != "" {
		host += ":" + port
	}
	return u.Scheme + "://" + host, nil
}

// hostName returns a host name in the form in which browsers send it, or an address.
func hostName(text string) (string, error) {
	if ip, err := netip.ParseAddr(text); err == nil {
		return ip.String(), nil
	}
	name, err := idna.Lookup.ToASCII(text)
	if err != nil || name == "" {
		return "", errHostForm
	}
	return name, nil
}

// originsFrom reads PARLEY_ORIGINS.
func originsFrom(r *env.Reader) []string {
	const variable = "PARLEY_ORIGINS"
	var origins []string
	for _, item := range r.List(variable, "", "Origins that may call with the session cookie besides the server's own, comma-separated, such as `https://www.example.org`.") {
		o, err := origin(item)
		if err != nil {
			r.Mistake("%s: %q is not an origin: %v", variable, item, err)
			continue
		}
		origins = append(origins, o)
	}
	return origins
}

// PublicURLFrom reads PARLEY_PUBLIC_URL, as an origin.
func PublicURLFrom(r *env.Reader) string {
	const variable = "PARLEY_PUBLIC_URL"
	text := r.String(variable, "", "The URL at which browsers reach Parley, such as `https://chat.example.org`. It counts as the server's own origin even if a proxy passes on another `Host`.")
	if text == "" {
		return ""
	}
	o, err := origin(text)
	if err != nil {
		r.Mistake("%s: %q is not a usable URL: %v", variable, text, err)
	}
	return o
}

// Hosts are the host names that a server accepts. They prevent DNS rebinding: an attacker's page whose name
// resolves to this server has the same origin as the server, but its requests name the attacker's host.
type Hosts []string

// HostsFrom reads PARLEY_HOSTS, and adds the hosts of publicURL and of the address listen.
func HostsFrom(r *env.Reader, publicURL, listen string) Hosts {
	const variable = "PARLEY_HOSTS"
	hosts := Hosts{}
	if u, err := url.Parse(publicURL); err == nil && u.Host != "" {
		hosts = append(hosts, u.Hostname())
	}
	if host, _, err := net.SplitHostPort(listen); err == nil && host != "" {
		hosts = append(hosts, strings.ToLower(host))
	}
	for _, item := range r.List(variable, "", "Host names of this server besides that of `PARLEY_PUBLIC_URL`, comma-separated; `*` allows any. IP addresses, names without a dot, and names under `.local` and `.localhost` are always allowed. For any other name the server answers 403, which prevents DNS rebinding.") {
		name, err := hostName(item)
		if item == "*" {
			name, err = item, nil
		}
		if err != nil {
			r.Mistake("%s: %q is not a host name such as chat.example.org", variable, item)
		}
		hosts = append(hosts, name)
	}
	return hosts
}

// allow reports whether the server accepts the Host header. Names that an attacker can't register are always
// allowed.
func (h Hosts) allow(header string) bool {
	name := strings.ToLower(strings.TrimSuffix(hostOf(header), "."))
	if _, err := netip.ParseAddr(name); err == nil || !strings.Contains(name, ".") {
		return true
	}
	return strings.HasSuffix(name, ".local") || strings.HasSuffix(name, ".localhost") || slices.Contains(h, name) || slices.Contains(h, "*")
}

// hostOf returns a Host header without its port.
func hostOf(header string) string {
	if host, _, err := net.SplitHostPort(header); err == nil {
		return host
	}
	return strings.TrimSuffix(strings.TrimPrefix(header, "["), "]")
}

// ownOrigin reports whether candidate is the origin of pages on host. If secure is set, it must be https.
func ownOrigin(candidate, host string, secure bool) bool {
	if host == "" {
		return false
	}
	for _, scheme := range []string{"https://", "http://"} {
		if own, err := origin(scheme + host); err == nil && own == candidate {
			return scheme == "https://" || !secure
		}
	}
	return false
}

// cookieSuffixFrom reads PARLEY_COOKIE_SUFFIX.
func cookieSuffixFrom(r *env.Reader) string {
	const variable = "PARLEY_COOKIE_SUFFIX"
	suffix := r.String(variable, "", "A suffix for the names of the cookies. Servers on different ports of one host need different ones, because cookies ignore ports. Use the same value for all services.")
	if strings.ContainsFunc(suffix, func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '_' && c != '-'
	}) {
		r.Mistake("%s: %q may only have letters, digits, - and _", variable, suffix)
	}
	return suffix
}
