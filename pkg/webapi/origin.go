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
	errOriginForm = errors.New("it must be like https://chat.example.org or http://chat.example.org:8080")
	errHostForm   = errors.New("it must be a host's name or address, and maybe a port")
)

// origin is text as browsers send origins: scheme and host in lower case, the host in ASCII, no default port.
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

// hostName is a host's name as browsers send it, or its address.
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
	for _, item := range r.List(variable, "", "Origins that may call with the session cookie besides the host's own, such as `https://www.example.org`, comma-separated.") {
		o, err := origin(item)
		if err != nil {
			r.Mistake("%s: %q is no origin: %v", variable, item, err)
			continue
		}
		origins = append(origins, o)
	}
	return origins
}

// PublicURLFrom reads PARLEY_PUBLIC_URL, as an origin.
func PublicURLFrom(r *env.Reader) string {
	const variable = "PARLEY_PUBLIC_URL"
	text := r.String(variable, "", "Where browsers find Parley, such as `https://chat.example.org`: an origin of our own even where a proxy passes on another `Host`.")
	if text == "" {
		return ""
	}
	o, err := origin(text)
	if err != nil {
		r.Mistake("%s: %q is no URL of ours: %v", variable, text, err)
	}
	return o
}

// Hosts are the names under which a server may be called. A page of a stranger whose own name was pointed at us
// (DNS rebinding) is of the same origin as we are; it gives itself away by that name.
type Hosts []string

// HostsFrom reads PARLEY_HOSTS; the host of publicURL and that of the address listen are names too.
func HostsFrom(r *env.Reader, publicURL, listen string) Hosts {
	const variable = "PARLEY_HOSTS"
	hosts := Hosts{}
	if u, err := url.Parse(publicURL); err == nil && u.Host != "" {
		hosts = append(hosts, u.Hostname())
	}
	if host, _, err := net.SplitHostPort(listen); err == nil && host != "" {
		hosts = append(hosts, strings.ToLower(host))
	}
	for _, item := range r.List(variable, "", "Names of this server besides that of `PARLEY_PUBLIC_URL`, comma-separated; `*` is any. IP addresses, names without a dot, and those under `.local` and `.localhost` are always let in; under any other name the server answers 403, so that no page of a stranger can pass for its own.") {
		name, err := hostName(item)
		if item == "*" {
			name, err = item, nil
		}
		if err != nil {
			r.Mistake("%s: %q is no host's name, such as chat.example.org", variable, item)
		}
		hosts = append(hosts, name)
	}
	return hosts
}

// allow says whether the Host header names us. What nobody outside can point at us needs no list.
func (h Hosts) allow(header string) bool {
	name := strings.ToLower(strings.TrimSuffix(hostOf(header), "."))
	if _, err := netip.ParseAddr(name); err == nil || !strings.Contains(name, ".") {
		return true
	}
	return strings.HasSuffix(name, ".local") || strings.HasSuffix(name, ".localhost") || slices.Contains(h, name) || slices.Contains(h, "*")
}

// hostOf is a Host header without its port.
func hostOf(header string) string {
	if host, _, err := net.SplitHostPort(header); err == nil {
		return host
	}
	return strings.TrimSuffix(strings.TrimPrefix(header, "["), "]")
}

// ownOrigin says whether candidate is that of a page of the host in the header.
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
	suffix := r.String(variable, "", "What the cookies' names end in. Servers on several ports of one host need one each, since cookies know no ports. The same for all services.")
	if strings.ContainsFunc(suffix, func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '_' && c != '-'
	}) {
		r.Mistake("%s: %q has other characters than letters, digits, - and _", variable, suffix)
	}
	return suffix
}
