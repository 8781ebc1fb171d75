package deletioncost

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/parley-chat/parley/services/steward/internal/kubetest"
)

// edges serves the metrics of edges, each on a loopback address of its own, all on one port.
func edges(t *testing.T, connections map[string]*atomic.Int64) (port int) {
	t.Helper()
	for ip, count := range connections {
		listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", net.JoinHostPort(ip, strconv.Itoa(port)))
		if err != nil {
			t.Fatal(err)
		}
		_, text, err := net.SplitHostPort(listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		if port, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
		server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if n := count.Load(); n >= 0 {
				_, _ = fmt.Fprintf(w, "# TYPE parley_edge_connections gauge\nparley_edge_connections %d\n", n)
			} else {
				_, _ = io.WriteString(w, "# TYPE go_goroutines gauge\ngo_goroutines 1\n")
			}
		}))
		_ = server.Listener.Close()
		server.Listener = listener
		server.Start()
		t.Cleanup(server.Close)
	}
	return port
}

func podAt(ip, phase string, annotations map[string]any) map[string]any {
	return map[string]any{
		"metadata": map[string]any{"annotations": annotations},
		"status":   map[string]any{"phase": phase, "podIP": ip},
	}
}

func number(n int64) *atomic.Int64 {
	v := &atomic.Int64{}
	v.Store(n)
	return v
}

func newWatcher(t *testing.T, server *kubetest.Server, port int) *Watcher {
	t.Helper()
	return New(Options{
		API: server.Client(t), Selector: "app.kubernetes.io/component=edge", Port: port, Every: 20 * time.Millisecond,
		Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry(),
	})
}

func cost(server *kubetest.Server, pod string) any {
	meta, _ := server.Object("pods", pod)["metadata"].(map[string]any)
	annotations, _ := meta["annotations"].(map[string]any)
	return annotations[annotation]
}

func TestCostsAreTheConnections(t *testing.T) {
	server := kubetest.New(t)
	full, empty, silent := number(5000), number(3), number(-1)
	port := edges(t, map[string]*atomic.Int64{"127.0.0.1": full, "127.0.0.2": empty, "127.0.0.3": silent})
	server.Put("pods", "full", podAt("127.0.0.1", "Running", map[string]any{"keep": "me"}))
	server.Put("pods", "empty", podAt("127.0.0.2", "Running", nil))
	server.Put("pods", "no-edge", podAt("127.0.0.3", "Running", map[string]any{annotation: "70"}))
	server.Put("pods", "starting", podAt("", "Pending", nil))
	going := podAt("127.0.0.9", "Running", nil)
	going["metadata"] = map[string]any{"deletionTimestamp": "2026-11-22T03:04:05Z"}
	server.Put("pods", "going", going)

	w := newWatcher(t, server, port)
	listed, err := w.round(t.Context())
	if !listed || err == nil || !strings.Contains(err.Error(), "127.0.0.3") || strings.Contains(err.Error(), "127.0.0.9") {
		t.Errorf("a round with one pod that is no edge: %v, %v", listed, err)
	}
	if cost(server, "full") != "5000" || cost(server, "empty") != nil || cost(server, "no-edge") != "70" || cost(server, "going") != nil {
		t.Errorf("costs: %v, %v, %v, %v", cost(server, "full"), cost(server, "empty"), cost(server, "no-edge"), cost(server, "going"))
	}
	meta, _ := server.Object("pods", "full")["metadata"].(map[string]any)
	if annotations, _ := meta["annotations"].(map[string]any); annotations["keep"] != "me" {
		t.Error("other annotations are gone")
	}

	// A little more or less is no reason to write.
	full.Store(5400)
	empty.Store(12)
	_, _ = w.round(t.Context())
	if cost(server, "full") != "5000" || cost(server, "empty") != "12" {
		t.Errorf("after a small change: %v, %v", cost(server, "full"), cost(server, "empty"))
	}
	full.Store(0)
	_, _ = w.round(t.Context())
	if cost(server, "full") != "0" {
		t.Errorf("without connections: %v", cost(server, "full"))
	}
	patches := 0
	for _, call := range server.Calls() {
		if strings.HasPrefix(call, http.MethodPatch) {
			patches++
		}
	}
	if patches != 3 {
		t.Errorf("%d patches, want 3", patches)
	}
}

// noPods is an API server without pods, which may be away.
type noPods struct {
	away     atomic.Bool
	selector atomic.Value
}

func (a *noPods) List(_ context.Context, _, selector string, _ any) error {
	a.selector.Store(selector)
	if a.away.Load() {
		return io.ErrUnexpectedEOF
	}
	return nil
}

func (a *noPods) Merge(context.Context, string, string, any) error { return nil }

func TestReadyWhenTheAPIServerAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := &noPods{}
		api.away.Store(true)
		const selector, every = "app.kubernetes.io/component=edge", time.Minute
		w := New(Options{API: api, Selector: selector, Every: every, Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry()})
		ctx, stop := context.WithCancel(t.Context())
		var readies atomic.Int32
		ended := make(chan error, 1)
		go func() { ended <- w.Run(ctx, func() { readies.Add(1) }) }()
		time.Sleep(10 * every)
		if readies.Load() != 0 {
			t.Error("ready without an API server")
		}
		api.away.Store(false)
		time.Sleep(every + 1)
		synctest.Wait()
		if readies.Load() != 1 {
			t.Error("not ready a round after the API server answers")
		}
		time.Sleep(10 * every)
		stop()
		if err := <-ended; err != nil || readies.Load() != 1 {
			t.Errorf("ended with %v, ready %d times", err, readies.Load())
		}
		if got := api.selector.Load(); got != selector {
			t.Error("asked for", got)
		}
	})
}

func TestNoticeable(t *testing.T) {
	var got []bool
	for _, c := range [][2]int{{0, 9}, {0, 10}, {1000, 1099}, {1000, 1100}, {1000, 901}, {1000, 900}, {5, 0}, {0, 0}} {
		got = append(got, changedEnough(c[0], c[1]))
	}
	if want := []bool{false, true, false, true, false, true, true, false}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
