package stream

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/parley-chat/parley/pkg/env"
)

// URLFrom reads PARLEY_REDIS.
func URLFrom(r *env.Reader) string {
	raw := r.RequiredSecret("PARLEY_REDIS", "The Redis that carries entries between services: `redis://user:password@host:6379/0`; behind Sentinel "+
		"`redis+sentinel://user:password@host:26379,host2:26379/0?master=mymaster` (and `sentinel_username=`, `sentinel_password=` where the sentinels want them); "+
		"a cluster `redis+cluster://user:password@host:6379,host2:6379`. `rediss` instead of `redis` is TLS, with `ca_file=` for a certificate authority of one's own, "+
		"`cert_file=` and `key_file=` to show a certificate, `server_name=` where the servers' certificates name something else than their address. "+
		"Passwords within it are percent-encoded; better give them apart.")
	password := r.Secret("PARLEY_REDIS_PASSWORD", "The password of that Redis, as it is: it counts in place of one in `PARLEY_REDIS`.")
	sentinels := r.Secret("PARLEY_REDIS_SENTINEL_PASSWORD", "The password of its sentinels, likewise.")
	if raw == "" {
		return ""
	}
	raw = withPasswords(raw, password, sentinels)
	if _, err := parse(raw); err != nil {
		r.Mistake("PARLEY_REDIS: %v", err)
	}
	return raw
}

// withPasswords puts passwords, where there are any, into a URL in place of its own.
func withPasswords(raw, password, sentinels string) string {
	d, err := divide(raw)
	if err != nil {
		return raw // parse says what is wrong with it
	}
	if password != "" {
		user, _, _ := strings.Cut(strings.TrimSuffix(d.user, "@"), ":")
		d.user = user + url.UserPassword("", password).String() + "@"
	}
	if sentinels != "" && d.kind == sentinel {
		d.query.Set("sentinel_password", sentinels)
	}
	return d.String()
}

// Dial connects to a Redis that is elsewhere than an address says.
type Dial func(ctx context.Context, network, address string) (net.Conn, error)

// Open makes a client for a URL as URLFrom tells of. It does not connect: services start in any
// order. Its time limits are short, since nothing waits for Redis that could go on without it.
func Open(raw string) (redis.UniversalClient, error) {
	options, err := parse(raw)
	if err != nil {
		return nil, fmt.Errorf("the Redis URL: %w", err)
	}
	return open(options), nil
}

// OpenWithin makes a client of a Redis within this process, which dial connects to.
func OpenWithin(dial Dial) redis.UniversalClient {
	return open(&redis.UniversalOptions{Addrs: []string{"embedded"}, Dialer: dial})
}

func open(options *redis.UniversalOptions) redis.UniversalClient {
	options.DialTimeout = time.Second
	options.ReadTimeout = 2 * time.Second
	options.WriteTimeout = 2 * time.Second
	options.MaxRetries = -1 // whoever calls knows better when to try again
	options.MaxRedirects = 2
	options.DialerRetries = 1
	options.ContextTimeoutEnabled = true
	options.DisableIdentity = true
	options.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	redis.SetLogger(silent{}) // it would write each failed dial to stderr; we say once that Redis is away
	return redis.NewUniversalClient(options)
}

// silent is a logger of go-redis's, which has one for the whole process.
type silent struct{}

// Printf implements go-redis's logger.
func (silent) Printf(context.Context, string, ...any) {}

// The ways in which a URL's scheme says that there are several servers.
const (
	oneServer = ""
	sentinel  = "sentinel"
	cluster   = "cluster"
)

var (
	errScheme = errors.New("it begins with redis://, redis+sentinel:// or redis+cluster://, or with rediss for TLS")
	// go-redis's own message may repeat the password.
	errMalformed = errors.New("it is malformed: percent-encode the characters : / ? # [ ] @ % of its user and password, or leave the password out and give it as PARLEY_REDIS_PASSWORD")
	errMaster    = errors.New("redis+sentinel:// wants ?master= and the name under which the sentinels know the master")
	errClusterDB = errors.New("a Redis Cluster has no database but 0")
	errPlain     = errors.New("ca_file, cert_file, key_file and server_name are for TLS: rediss instead of redis")
	errPair      = errors.New("cert_file and key_file are needed both or not at all")
)

// parse reads a URL. Its errors never repeat what stands in it, which may be a password.
func parse(raw string) (*redis.UniversalOptions, error) {
	u, err := divide(raw)
	if err != nil {
		return nil, err
	}
	options := &redis.UniversalOptions{IsClusterMode: u.kind == cluster}
	if u.kind == sentinel {
		options.MasterName, options.SentinelUsername, options.SentinelPassword = u.take("master"), u.take("sentinel_username"), u.take("sentinel_password")
		if options.MasterName == "" {
			return nil, errMaster
		}
	}
	files := tlsFiles{ca: u.take("ca_file"), cert: u.take("cert_file"), key: u.take("key_file"), name: u.take("server_name")}
	first, _, _ := strings.Cut(u.hosts, ",")
	plain, err := redis.ParseURL(u.base + "://" + u.user + first + u.path + "?" + u.query.Encode())
	if err != nil {
		return nil, errMalformed
	}
	if u.kind == cluster && plain.DB != 0 {
		return nil, errClusterDB
	}
	if options.Addrs, err = addresses(u.hosts, map[string]string{oneServer: "6379", cluster: "6379", sentinel: "26379"}[u.kind]); err != nil {
		return nil, err
	}
	options.Username, options.Password, options.DB = plain.Username, plain.Password, plain.DB
	options.ClientName, options.Protocol = plain.ClientName, plain.Protocol
	options.PoolFIFO, options.PoolSize, options.PoolTimeout = plain.PoolFIFO, plain.PoolSize, plain.PoolTimeout
	options.MinIdleConns, options.MaxIdleConns, options.MaxActiveConns = plain.MinIdleConns, plain.MaxIdleConns, plain.MaxActiveConns
	options.ConnMaxIdleTime, options.ConnMaxLifetime = plain.ConnMaxIdleTime, plain.ConnMaxLifetime
	options.TLSConfig = plain.TLSConfig
	return options, files.apply(options.TLSConfig)
}

// divided is a URL with any number of hosts, which is none to net/url.
type divided struct {
	base, kind  string // of the scheme: redis or rediss, and what follows the plus sign
	user, hosts string // user with the @
	path        string
	query       url.Values
}

func (d divided) String() string {
	scheme := d.base
	if d.kind != oneServer {
		scheme += "+" + d.kind
	}
	if len(d.query) == 0 {
		return scheme + "://" + d.user + d.hosts + d.path
	}
	return scheme + "://" + d.user + d.hosts + d.path + "?" + d.query.Encode()
}

func divide(raw string) (d divided, err error) {
	scheme, rest, _ := strings.Cut(raw, "://")
	d.base, d.kind, _ = strings.Cut(scheme, "+")
	if d.base != "redis" && d.base != "rediss" || d.kind != oneServer && d.kind != sentinel && d.kind != cluster {
		return d, errScheme
	}
	authority, query := rest, ""
	if at := strings.IndexAny(rest, "/?#"); at >= 0 {
		authority = rest[:at]
		d.path, query, _ = strings.Cut(rest[at:], "?")
	}
	at := strings.LastIndex(authority, "@") + 1
	d.user, d.hosts = authority[:at], authority[at:]
	if d.kind == oneServer && strings.Contains(d.hosts, ",") {
		return d, errScheme
	}
	if d.query, err = url.ParseQuery(query); err != nil || strings.Contains(rest, "#") {
		return d, errMalformed
	}
	return d, nil
}

// take returns an option of the query that go-redis does not know, and takes it out.
func (d divided) take(name string) string {
	defer d.query.Del(name)
	return d.query.Get(name)
}

// addresses reads hosts, each with the port or without.
func addresses(hosts, port string) ([]string, error) {
	var all []string
	for host := range strings.SplitSeq(hosts, ",") {
		u, err := url.Parse("redis://" + host)
		if err != nil || u.Host != host || u.Hostname() == "" {
			return nil, errMalformed
		}
		if _, err := netip.ParseAddr(u.Hostname()); err != nil && strings.Contains(u.Hostname(), ":") {
			return nil, errMalformed
		}
		if u.Port() != "" {
			all = append(all, net.JoinHostPort(u.Hostname(), u.Port()))
		} else {
			all = append(all, net.JoinHostPort(u.Hostname(), port))
		}
	}
	return all, nil
}

// tlsFiles are the paths of what TLS needs, and the name that the servers' certificates must have.
type tlsFiles struct{ ca, cert, key, name string }

// apply gives config, nil where there is no TLS, what the files hold.
func (f tlsFiles) apply(config *tls.Config) error {
	if config == nil && f != (tlsFiles{}) {
		return errPlain
	}
	if config == nil {
		return nil
	}
	config.ServerName = f.name // none: that of the server being connected to
	if f.ca != "" {
		content, err := os.ReadFile(f.ca)
		if err != nil {
			return fmt.Errorf("ca_file: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(content) {
			return fmt.Errorf("ca_file: %s holds no certificate", f.ca)
		}
	}
	if (f.cert == "") != (f.key == "") {
		return errPair
	}
	if f.cert == "" {
		return nil
	}
	if _, err := tls.LoadX509KeyPair(f.cert, f.key); err != nil {
		return fmt.Errorf("cert_file, key_file: %w", err)
	}
	// Read anew for each connection: certificates are renewed under running pods.
	config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		pair, err := tls.LoadX509KeyPair(f.cert, f.key)
		if err != nil {
			return nil, fmt.Errorf("cert_file, key_file: %w", err)
		}
		return &pair, nil
	}
	return nil
}
