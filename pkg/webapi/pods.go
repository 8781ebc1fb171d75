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

// Times of the pods.
const (
	connectTimeout = time.Second
	// resolveEvery is how often names are looked up again; resolveSoonest is how soon, after a pod could
	// not be connected to.
	resolveEvery   = 3 * time.Second
	resolveSoonest = 300 * time.Millisecond
	resolveTimeout = 2 * time.Second
	// shunFor is how long a pod that failed is asked last. Then one call tries it.
	shunFor = 5 * time.Second
)

// pods are the addresses behind a service's URLs. A name may have many, as a headless Service's has: each is
// a pod of its own, with connections of its own.
type pods struct {
	services []*service
	lookup   func(ctx context.Context, name string) ([]netip.Addr, error)
	log      *slog.Logger

	known    atomic.Pointer[[]*pod] // replaced whole, never changed
	resolved chan struct{}          // closed when all names have been looked up once
	again    chan struct{}          // asks run to look them up; holds one
}

// service is one URL. Its pods are run's alone.
type service struct {
	url, name, port string // no name: its pod is known from the start
	pods            []*pod
	failing         bool
}

// pod is one address. It is called by its service's URL: TLS and the Host header go by the name.
type pod struct {
	url     string
	address netip.Addr
	http    *http.Client
	shunned atomic.Int64 // until when, in nanoseconds; 0 is not at all
}

var errNoAddress = errors.New("its name has no address")

// newPods makes the pods at urls. Names are looked up unless dial, which then knows them, is not nil.
func newPods(urls []string, dial Dial, log *slog.Logger) *pods {
	p := &pods{lookup: lookup, log: log, resolved: make(chan struct{}), again: make(chan struct{}, 1)}
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
	if !p.named() {
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

func (p *pods) named() bool {
	return slices.ContainsFunc(p.services, func(s *service) bool { return s.name != "" })
}

// all returns the pods that are known by now. Only before names have been looked up for the first time
// does it wait for that.
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

// resolveSoon asks run to look the names up before it is time: a pod may be gone.
func (p *pods) resolveSoon() {
	select {
	case p.again <- struct{}{}:
	default:
	}
}

// run looks names up until ctx ends, and then gives back the idle connections.
func (p *pods) run(ctx context.Context) {
	defer func() {
		for _, one := range *p.known.Load() {
			one.http.CloseIdleConnections()
		}
	}()
	if !p.named() {
		<-ctx.Done()
		return
	}
	soonest, due := time.NewTimer(0), time.NewTimer(0)
	defer soonest.Stop()
	defer due.Stop()
	for first := true; ; first = false {
		p.resolve(ctx)
		if first {
			close(p.resolved)
		}
		soonest.Reset(resolveSoonest)
		due.Reset(resolveEvery)
		select {
		case <-soonest.C:
		case <-ctx.Done():
			return
		}
		select {
		case <-p.again:
		case <-due.C:
		case <-ctx.Done():
			return
		}
	}
}

// resolve looks all names up, one after the other.
func (p *pods) resolve(ctx context.Context) {
	for _, s := range p.services {
		if s.name == "" {
			continue
		}
		within, cancel := context.WithTimeout(ctx, resolveTimeout)
		addresses, err := p.lookup(within, s.name)
		cancel()
		if ctx.Err() != nil {
			return
		}
		if failing := err != nil || len(addresses) == 0; failing != s.failing {
			s.failing = failing
			p.log.WarnContext(ctx, "a service's name can be looked up or not; its addresses stay as they were until it can",
				slog.String("url", s.url), slog.Bool("found", !failing), slog.Any("error", err))
		}
		if !s.failing {
			s.moved(addresses)
		}
	}
	p.publish()
}

// moved makes addresses the service's pods. Those that it had go on with what they know and their connections.
func (s *service) moved(addresses []netip.Addr) {
	for i, a := range addresses {
		addresses[i] = a.Unmap()
	}
	slices.SortFunc(addresses, netip.Addr.Compare) // as on every pod that calls: numbers mean the same for long
	addresses = slices.Compact(addresses)
	now := make([]*pod, len(addresses))
	for i, a := range addresses {
		if at := slices.IndexFunc(s.pods, func(had *pod) bool { return had.address == a }); at >= 0 {
			now[i] = s.pods[at]
			continue
		}
		target := net.JoinHostPort(a.String(), s.port)
		now[i] = newPod(s.url, a, func(ctx context.Context, network, _ string) (net.Conn, error) { return tcp(ctx, network, target) })
	}
	for _, had := range s.pods {
		if !slices.Contains(now, had) {
			had.http.CloseIdleConnections()
		}
	}
	s.pods = now
}

// publish makes the services' pods known to callers.
func (p *pods) publish() {
	var known []*pod
	for _, s := range p.services {
		known = append(known, s.pods...)
	}
	p.known.Store(&known)
}

// answered notes whether the pod could do its work.
func (p *pod) answered(well bool) {
	if !well {
		p.shunned.Store(time.Now().Add(shunFor).UnixNano())
	} else if p.shunned.Load() != 0 {
		p.shunned.Store(0)
	}
}

// inTurn returns pods in the order in which a call asks them: from number start on, those that failed lately
// last. Of one that failed a while ago the first call that comes finds out how it is.
func inTurn(known []*pod, start int) []*pod {
	order, last := make([]*pod, 0, len(known)), []*pod(nil)
	now := time.Now()
	for n := range known {
		one := known[(start+n)%len(known)]
		switch until := one.shunned.Load(); {
		case until == 0:
			order = append(order, one)
		case now.UnixNano() > until && one.shunned.CompareAndSwap(until, now.Add(shunFor).UnixNano()):
			order = slices.Insert(order, 0, one)
		default:
			last = append(last, one)
		}
	}
	return append(order, last...)
}
