package webapi

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"sync/atomic"
	"time"
)

const (
	connectTimeout = time.Second
	// resolveInterval is the time between two DNS lookups. After a failure to connect the next lookup comes
	// sooner, but not before minResolveInterval.
	resolveInterval    = 3 * time.Second
	minResolveInterval = 300 * time.Millisecond
	resolveTimeout     = 2 * time.Second
	// ejectFor is how long a pod that failed is only called after all others. Then one call tries it again.
	ejectFor = 5 * time.Second
)

// pods are the addresses behind a service's URLs. A host name may have several, such as the name of a headless
// Service. Each address is a pod with its own connections.
type pods struct {
	services []*service
	lookup   func(ctx context.Context, name string) ([]netip.Addr, error)
	log      *slog.Logger

	known    atomic.Pointer[[]*pod] // the slice is replaced, never changed
	resolved chan struct{}          // closed after the first lookup of all names
	wake     chan struct{}          // makes run look the names up; holds one
}

// service is one URL. Only the goroutine of run uses pods and unresolved.
type service struct {
	url, name, port string // an empty name needs no lookup
	pods            []*pod
	unresolved      bool // the last lookup failed
}

// pod is one address. Calls use the service's URL, because TLS and the Host header need the name.
type pod struct {
	url          string
	address      netip.Addr
	http         *http.Client
	ejectedUntil atomic.Int64 // Unix time in nanoseconds; 0: the pod is not ejected
}

var errNoAddress = errors.New("the host name has no address")

// newPods makes the pods at urls. It looks no names up if dial is not nil, because dial then resolves them.
func newPods(urls []string, dial Dial, log *slog.Logger) *pods {
	p := &pods{lookup: lookup, log: log, resolved: make(chan struct{}), wake: make(chan struct{}, 1)}
	for _, text := range urls {
		s := &service{url: text}
		u, err := url.Parse(text)
		if err == nil && dial == nil {
			if _, err := netip.ParseAddr(u.Hostname()); err != nil {
				s.name, s.port = u.Hostname(), u.Port()
			}
			if s.port == "" {
				s.port = u.Scheme
			}
		}
		if s.name == "" {
			s.pods = []*pod{newPod(text, netip.Addr{}, dial)}
		}
		p.services = append(p.services, s)
	}
	if !p.needLookup() {
		close(p.resolved)
	}
	p.publish()
	return p
}

func newPod(url string, address netip.Addr, dial Dial) *pod {
	if dial == nil {
		dial = tcp
	}
	return &pod{url: url, address: address, http: &http.Client{Transport: &http.Transport{
		DialContext: dial, MaxIdleConns: 128, MaxIdleConnsPerHost: 128, IdleConnTimeout: time.Minute,
		ResponseHeaderTimeout: 30 * time.Second, DisableCompression: true,
	}}}
}

func tcp(ctx context.Context, network, address string) (net.Conn, error) {
	return (&net.Dialer{Timeout: connectTimeout, KeepAlive: 15 * time.Second}).DialContext(ctx, network, address)
}

func lookup(ctx context.Context, name string) ([]netip.Addr, error) {
	return net.DefaultResolver.LookupNetIP(ctx, "ip", name)
}

func (p *pods) needLookup() bool {
	return slices.ContainsFunc(p.services, func(s *service) bool { return s.name != "" })
}

// all returns the known pods. It waits for the first lookup, but for no later one.
func (p *pods) all(ctx context.Context) ([]*pod, error) {
	select {
	case <-p.resolved:
	case <-ctx.Done():
		return nil, unreachable(ctx.Err())
	}
	known := *p.known.Load()
	if len(known) == 0 {
		p.resolveSoon()
		return nil, unreachable(errNoAddress)
	}
	return known, nil
}

// resolveSoon makes run look the names up early, because a pod may be gone.
func (p *pods) resolveSoon() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// run looks the names up until ctx ends, and then closes the idle connections.
func (p *pods) run(ctx context.Context) {
	defer func() {
		for _, known := range *p.known.Load() {
			known.http.CloseIdleConnections()
		}
	}()
	if !p.needLookup() {
		<-ctx.Done()
		return
	}
	earliest, due := time.NewTimer(0), time.NewTimer(0)
	defer earliest.Stop()
	defer due.Stop()
	for first := true; ; first = false {
		p.resolve(ctx)
		if first {
			close(p.resolved)
		}
		earliest.Reset(minResolveInterval)
		due.Reset(resolveInterval)
		select {
		case <-earliest.C:
		case <-ctx.Done():
			return
		}
		select {
		case <-p.wake:
		case <-due.C:
		case <-ctx.Done():
			return
		}
	}
}

// resolve looks all names up. A service whose lookup fails keeps its pods.
func (p *pods) resolve(ctx context.Context) {
	for _, s := range p.services {
		if s.name == "" {
			continue
		}
		lookupCtx, cancel := context.WithTimeout(ctx, resolveTimeout)
		addresses, err := p.lookup(lookupCtx, s.name)
		cancel()
		if ctx.Err() != nil {
			return
		}
		switch unresolved := err != nil || len(addresses) == 0; {
		case unresolved && !s.unresolved:
			p.log.WarnContext(ctx, "service name does not resolve, its last addresses stay in use", slog.String("url", s.url), slog.Any("error", err))
			s.unresolved = true
		case !unresolved && s.unresolved:
			p.log.InfoContext(ctx, "service name resolves again", slog.String("url", s.url))
			s.unresolved = false
		}
		if !s.unresolved {
			s.setAddresses(addresses)
		}
	}
	p.publish()
}

// setAddresses replaces the service's pods. A pod whose address stays keeps its state and its connections.
func (s *service) setAddresses(addresses []netip.Addr) {
	for i, a := range addresses {
		addresses[i] = a.Unmap()
	}
	slices.SortFunc(addresses, netip.Addr.Compare) // all callers use the same order, so PostOnce's numbers mean the same pod
	addresses = slices.Compact(addresses)
	current := make([]*pod, len(addresses))
	for i, a := range addresses {
		if at := slices.IndexFunc(s.pods, func(old *pod) bool { return old.address == a }); at >= 0 {
			current[i] = s.pods[at]
			continue
		}
		target := net.JoinHostPort(a.String(), s.port)
		current[i] = newPod(s.url, a, func(ctx context.Context, network, _ string) (net.Conn, error) { return tcp(ctx, network, target) })
	}
	for _, old := range s.pods {
		if !slices.Contains(current, old) {
			old.http.CloseIdleConnections()
		}
	}
	s.pods = current
}

// publish makes the services' pods visible to callers.
func (p *pods) publish() {
	var known []*pod
	for _, s := range p.services {
		known = append(known, s.pods...)
	}
	p.known.Store(&known)
}

// recordResult ejects a pod that failed, and takes a pod back that succeeded.
func (p *pod) recordResult(ok bool) {
	if !ok {
		p.ejectedUntil.Store(time.Now().Add(ejectFor).UnixNano())
	} else if p.ejectedUntil.Load() != 0 {
		p.ejectedUntil.Store(0)
	}
}

// callOrder returns the order in which a call tries the pods: round robin from number start, with ejected pods
// last. When the ejection of a pod ends, one call tries that pod first, and other calls still avoid it.
func callOrder(known []*pod, start int) []*pod {
	order, ejected := make([]*pod, 0, len(known)), []*pod(nil)
	now := time.Now()
	for n := range known {
		p := known[(start+n)%len(known)]
		switch until := p.ejectedUntil.Load(); {
		case until == 0:
			order = append(order, p)
		case now.UnixNano() > until && p.ejectedUntil.CompareAndSwap(until, now.Add(ejectFor).UnixNano()):
			order = slices.Insert(order, 0, p)
		default:
			ejected = append(ejected, p)
		}
	}
	return append(order, ejected...)
}
