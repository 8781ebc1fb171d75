package webapi

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-chat/parley/pkg/chat"
)

var quiet = slog.New(slog.DiscardHandler)

// names is a name server with one name, "pods".
type names struct {
	mu        sync.Mutex
	addresses []netip.Addr
	err       error
	lookups   int
	hung      chan struct{} // lookups wait until it is closed; nil: they don't
}

func (n *names) lookup(_ context.Context, name string) ([]netip.Addr, error) {
	n.mu.Lock()
	n.lookups++
	hung := n.hung
	n.mu.Unlock()
	if hung != nil {
		<-hung
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if name != "pods" {
		return nil, fmt.Errorf("asked for %q", name)
	}
	return append([]netip.Addr{}, n.addresses...), n.err
}

func (n *names) set(err error, addresses ...string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.err, n.addresses = err, nil
	for _, a := range addresses {
		n.addresses = append(n.addresses, netip.MustParseAddr(a))
	}
}

func (n *names) asked() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.lookups
}

// replica is a pod of a service: a server that says which address it was called at.
type replica struct {
	*httptest.Server

	calls, idle atomic.Int32
}

// serve starts replicas on one port of several addresses of this machine.
func serve(t *testing.T, addresses ...string) (port string, all []*replica) {
	t.Helper()
	port = "0"
	for _, address := range addresses {
		listener, err := net.Listen("tcp", net.JoinHostPort(address, port))
		if err != nil {
			t.Fatal(err)
		}
		_, port, _ = net.SplitHostPort(listener.Addr().String())
		r := &replica{}
		r.Server = &httptest.Server{Listener: listener, Config: &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
			r.calls.Add(1)
			_, _ = fmt.Fprintf(w, `{"at":%q,"host":%q}`, address, request.Host)
		}), ConnState: func(_ net.Conn, state http.ConnState) {
			switch state {
			case http.StateIdle:
				r.idle.Add(1)
			case http.StateClosed:
				r.idle.Store(0)
			case http.StateNew, http.StateActive, http.StateHijacked:
			}
		}}}
		r.Start()
		t.Cleanup(r.Close)
		all = append(all, r)
	}
	return port, all
}

// running makes a client of the service at url and runs it for the time of the test.
func running(t *testing.T, n *names, url string) *Client {
	t.Helper()
	c := NewClient([]string{url}, "x", nil, quiet)
	c.pods.lookup = n.lookup
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx, func() {}) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return c
}

type whoAnswered struct{ At, Host string }

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for deadline := time.Now().Add(patience); !ok(); <-ticker.C {
		if time.Now().After(deadline) {
			t.Fatal("never: " + what)
		}
	}
}

func TestEachAddressOfANameIsAPod(t *testing.T) {
	port, all := serve(t, "127.0.0.2", "127.0.0.3", "127.0.0.4")
	n := &names{}
	n.set(nil, "127.0.0.4", "::ffff:127.0.0.2", "127.0.0.3", "127.0.0.2")
	c := running(t, n, "http://pods:"+port)
	for pod := range 7 {
		var answer whoAnswered
		if err := c.PostOnce(t.Context(), pod, "/", nil, &answer); err != nil {
			t.Fatal(err)
		}
		if want := fmt.Sprintf("127.0.0.%d", 2+pod%3); answer.At != want || answer.Host != "pods:"+port {
			t.Errorf("pod %d: %+v, want %s, called by its name", pod, answer, want)
		}
	}
	before := all[0].calls.Load() + all[1].calls.Load()
	for range 30 {
		if err := c.Post(t.Context(), "/", nil, &whoAnswered{}); err != nil {
			t.Fatal(err)
		}
	}
	if got := all[0].calls.Load() + all[1].calls.Load() - before; got != 20 {
		t.Errorf("two of three pods got %d of 30 calls", got)
	}
}

func TestPodsThatComeAndGo(t *testing.T) {
	port, all := serve(t, "127.0.0.2", "127.0.0.3")
	n := &names{}
	n.set(nil, "127.0.0.2")
	c := running(t, n, "http://pods:"+port)
	answers := func() string {
		var answer whoAnswered
		if err := c.Post(t.Context(), "/", nil, &answer); err != nil {
			return err.Error()
		}
		return answer.At
	}
	if at := answers(); at != "127.0.0.2" {
		t.Fatal(at)
	}

	// A pod that can't be connected to has the name looked up.
	n.set(nil, "127.0.0.3")
	all[0].Close()
	eventually(t, "an answer of the pod that came", func() bool { return answers() == "127.0.0.3" })

	// What can't be looked up stays as it was.
	n.set(errors.New("no such host"))
	asked := n.asked()
	eventually(t, "two lookups", func() bool { c.pods.resolveSoon(); return n.asked() >= asked+2 })
	if at := answers(); at != "127.0.0.3" {
		t.Error(at)
	}

	// Nothing is kept of an address that is gone.
	if all[1].idle.Load() == 0 {
		t.Fatal("no idle connection")
	}
	n.set(nil, "127.0.0.9")
	eventually(t, "the end of the idle connections", func() bool { c.pods.resolveSoon(); return all[1].idle.Load() == 0 })
}

func TestACallNeverWaitsForANameThatIsKnown(t *testing.T) {
	port, _ := serve(t, "127.0.0.2")
	n := &names{}
	n.set(nil, "127.0.0.2")
	c := running(t, n, "http://pods:"+port)
	if err := c.Post(t.Context(), "/", nil, &whoAnswered{}); err != nil {
		t.Fatal(err)
	}
	hung := make(chan struct{})
	defer close(hung)
	n.mu.Lock()
	n.hung = hung
	n.mu.Unlock()
	asked := n.asked()
	c.pods.resolveSoon()
	eventually(t, "a lookup that hangs", func() bool { return n.asked() > asked })
	if err := c.Post(t.Context(), "/", nil, &whoAnswered{}); err != nil {
		t.Fatal(err)
	}
}

func TestNamesAreLookedUpAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &names{}
		n.set(nil, "127.0.0.2")
		c := running(t, n, "http://pods:1")
		lookups := func(after time.Duration) int {
			time.Sleep(after)
			synctest.Wait()
			return n.asked()
		}
		if got := lookups(resolveInterval - 1); got != 1 {
			t.Error("before it is time:", got)
		}
		if got := lookups(1); got != 2 {
			t.Error("when it is time:", got)
		}
		c.pods.resolveSoon() // as where a pod can't be connected to
		if got := lookups(minResolveInterval); got != 3 {
			t.Error("when a pod is gone:", got)
		}
		for range 100 {
			c.pods.resolveSoon()
		}
		if got := lookups(minResolveInterval - 1); got != 3 {
			t.Error("looked up too often:", got)
		}
	})
}

func TestANameWithoutAddressIsUnavailable(t *testing.T) {
	n := &names{}
	n.set(errors.New("no such host"))
	c := running(t, n, "http://pods:1")
	for _, err := range []error{c.Post(t.Context(), "/", nil, &whoAnswered{}), c.PostOnce(t.Context(), 3, "/", nil, &whoAnswered{})} {
		if chat.CodeOf(err) != chat.CodeUnavailable {
			t.Error(err)
		}
	}
	// Before names have been looked up a call waits, for as long as it may.
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := NewClient([]string{"http://pods:1"}, "x", nil, quiet).Post(ctx, "/", nil, &whoAnswered{}); chat.CodeOf(err) != chat.CodeUnavailable {
		t.Error(err)
	}
}

func TestADialOfOnesOwnKnowsTheNames(t *testing.T) {
	_, all := serve(t, "127.0.0.2")
	var dialled atomic.Value
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		dialled.Store(address)
		return (&net.Dialer{}).DialContext(ctx, network, all[0].Listener.Addr().String())
	}
	c := NewClient([]string{"http://rooms.internal"}, "x", dial, quiet)
	ctx, cancel := context.WithTimeout(t.Context(), patience) // not run, it would wait for a name for ever
	defer cancel()
	if err := c.Post(ctx, "/", nil, &whoAnswered{}); err != nil || dialled.Load() != "rooms.internal:80" {
		t.Error(err, dialled.Load())
	}
}

func TestTLSGoesByTheName(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.2:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	asked := make(chan string, 1)
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer func() { _ = conn.Close() }()
		_ = tls.Server(conn, &tls.Config{GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			asked <- hello.ServerName
			return nil, io.EOF
		}}).Handshake()
	}()
	n := &names{}
	n.set(nil, "127.0.0.2")
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	c := running(t, n, "https://pods:"+port)
	if err := c.Post(t.Context(), "/", nil, &whoAnswered{}); err == nil {
		t.Error("no handshake, and an answer")
	}
	if name := <-asked; name != "pods" {
		t.Errorf("TLS asked for %q", name)
	}
}

func TestAFailedPodIsEjected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		known := []*pod{{url: "a"}, {url: "b"}, {url: "c"}}
		order := func(start int) (s string) {
			for _, p := range callOrder(known, start) {
				s += p.url
			}
			return s
		}
		known[1].recordResult(false)
		if got := order(0) + " " + order(1) + " " + order(2); got != "acb cab cab" {
			t.Error(got)
		}
		time.Sleep(ejectFor + 1)
		if got := order(0) + " " + order(0); got != "bac acb" {
			t.Error("exactly one call tries the pod again:", got)
		}
		known[1].recordResult(true)
		if got := order(0) + " " + order(1); got != "abc bca" {
			t.Error(got)
		}
		for _, one := range known {
			one.recordResult(false)
		}
		if got := order(2); got != "cab" {
			t.Error("when all are ejected, all are tried:", got)
		}
	})
}

func TestManyCallersWhilePodsMove(t *testing.T) {
	port, _ := serve(t, "127.0.0.2", "127.0.0.3")
	n := &names{}
	n.set(nil, "127.0.0.2", "127.0.0.3")
	c := running(t, n, "http://pods:"+port)
	c.next.Store(math.MaxUint32 - 50) // it wraps around to 0
	stop := make(chan struct{})
	var movers, callers sync.WaitGroup
	movers.Go(func() {
		ticker := time.NewTicker(time.Millisecond)
		defer ticker.Stop()
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			case <-ticker.C:
				n.set(nil, fmt.Sprintf("127.0.0.%d", 2+i%2))
				c.pods.resolveSoon()
			}
		}
	})
	for caller := range 8 {
		callers.Go(func() {
			for i := range 100 {
				if err := c.Post(t.Context(), "/", nil, &whoAnswered{}); err != nil {
					t.Error(err)
				}
				if err := c.PostOnce(t.Context(), caller+i, "/", nil, &whoAnswered{}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	callers.Wait()
	close(stop)
	movers.Wait()
}

func TestALookupOfTheSystem(t *testing.T) {
	port, all := serve(t, "127.0.0.1")
	c := NewClient([]string{"http://localhost:" + port}, "x", nil, quiet)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx, func() {}) }()
	for range 4 { // localhost may be ::1 too, where nobody listens
		if err := c.Post(t.Context(), "/", nil, &whoAnswered{}); err != nil {
			t.Error(err)
		}
	}
	stop()
	if err := <-done; err != nil || all[0].calls.Load() != 4 {
		t.Error(err, all[0].calls.Load())
	}
}
