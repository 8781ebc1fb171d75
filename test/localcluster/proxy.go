package localcluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"strings"
	"sync/atomic"
	"time"
)

// Proxy is the one door to all the services, as an Ingress is in Kubernetes. Services are addresses
// as host:port; one that refuses the connection is passed over.
type Proxy struct {
	Listener                net.Listener
	Auth, Rooms, Edges, Web []string
	Log                     *slog.Logger
}

// Run serves until ctx ends. Sockets that are open then are cut.
func (p *Proxy) Run(ctx context.Context, ready func()) error {
	server := &http.Server{Handler: p.handler(), ReadHeaderTimeout: 10 * time.Second, ErrorLog: slog.NewLogLogger(p.Log.Handler(), slog.LevelDebug)}
	served := make(chan error, 1)
	go func() { served <- server.Serve(p.Listener) }()
	ready()
	select {
	case err := <-served:
		return fmt.Errorf("proxy: %w", err)
	case <-ctx.Done():
	}
	closed := server.Close()
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("proxy: %w", err)
	}
	return closed
}

func (p *Proxy) handler() http.Handler {
	// A long poll is answered when there is news; everything else soon.
	auth, rooms, edges, web := p.to(p.Auth, 15*time.Second), p.to(p.Rooms, 3*time.Second), p.to(p.Edges, 0), p.to(p.Web, 3*time.Second)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch path := r.URL.Path; {
		case path == "/ws", path == "/sse", under(path, "/poll"), isEvents(path):
			edges.ServeHTTP(w, r)
		case under(path, "/api/auth"), under(path, "/.well-known"):
			auth.ServeHTTP(w, r)
		case under(path, "/api"):
			rooms.ServeHTTP(w, r)
		default:
			web.ServeHTTP(w, r)
		}
	})
}

func under(path, folder string) bool { return path == folder || strings.HasPrefix(path, folder+"/") }

// isEvents finds /api/rooms/{slug}/events, the long poll.
func isEvents(path string) bool {
	slug, found := strings.CutPrefix(path, "/api/rooms/")
	slug, events := strings.CutSuffix(slug, "/events")
	return found && events && !strings.Contains(slug, "/")
}

// to passes requests on to one of the addresses, whose answer must begin within patience (0: ever).
func (p *Proxy) to(addresses []string, patience time.Duration) http.Handler {
	transport := &http.Transport{
		ResponseHeaderTimeout: patience,
		DialContext:           (&net.Dialer{Timeout: 2 * time.Second}).DialContext,
		MaxIdleConnsPerHost:   64,
		IdleConnTimeout:       30 * time.Second,
	}
	return &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetXForwarded()
			r.Out.URL.Scheme = "http"
			r.Out.Host = r.In.Host // origins are checked against it
		},
		Transport: &roundRobin{transport: transport, addresses: addresses},
		ErrorLog:  slog.NewLogLogger(p.Log.Handler(), slog.LevelDebug),
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			p.Log.DebugContext(r.Context(), "no answer from upstream", slog.String("path", r.URL.Path), slog.Any("error", err))
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = io.WriteString(w, `{"error":{"code":"unavailable","message":"the service is not reachable right now","retry_after_ms":1000}}`)
		},
	}
}

// roundRobin sends each request to the next address. One that can't be connected to is passed over,
// which is safe for any request, since nothing of it was sent; one that does not answer a request that
// only reads; and an edge that takes no sockets any more.
type roundRobin struct {
	transport http.RoundTripper
	addresses []string
	next      atomic.Uint32
}

// RoundTrip implements http.RoundTripper.
func (t *roundRobin) RoundTrip(r *http.Request) (*http.Response, error) {
	first := int(t.next.Add(1))
	var failures []error
	for i := range t.addresses {
		try := r.Clone(r.Context())
		try.URL.Host = t.addresses[(first+i)%len(t.addresses)]
		if try.Body != nil {
			try.Body = io.NopCloser(try.Body) // a failed dial closes it, and the next try needs it
		}
		response, err := t.transport.RoundTrip(try)
		last := i == len(t.addresses)-1
		if err == nil && !last && r.Header.Get("Upgrade") != "" && response.StatusCode == http.StatusServiceUnavailable {
			_ = response.Body.Close()
			continue
		}
		if err == nil || !mayPassOver(r, err) {
			return response, err
		}
		failures = append(failures, err)
	}
	return nil, errors.Join(failures...)
}

// mayPassOver says whether a request that failed like that may be sent to another address.
func mayPassOver(r *http.Request, err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	reads := r.Method == http.MethodGet || r.Method == http.MethodHead
	return ok && op.Op == "dial" || reads && r.Context().Err() == nil
}
