// Package observe gives a process its logger, its metrics registry, its tracer, and the admin listener
// that serves /livez, /readyz and /metrics.
package observe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/pprof"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// NewRegistry returns the metrics registry of a process. It has the metrics of the Go runtime and of the process.
func NewRegistry(readiness *Readiness) *prometheus.Registry {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	ThisBuild().register(registry)
	promauto.With(registry).NewGaugeFunc(prometheus.GaugeOpts{Name: "parley_ready", Help: "1 while the process is ready for new work, as /readyz answers."}, func() float64 {
		if readiness.Ready() {
			return 1
		}
		return 0
	})
	return registry
}

// Admin serves /livez, /readyz and /metrics on a listener of its own, which no Ingress routes to.
// Liveness only means that the process answers. It does not depend on Redis or PostgreSQL, because a
// short outage of either must not restart every pod.
type Admin struct {
	Listener  net.Listener
	Registry  *prometheus.Registry
	Readiness *Readiness
	// Profiles also serves Go's profiles under /debug/pprof/.
	Profiles bool
}

// Run serves until ctx ends.
func (a *Admin) Run(ctx context.Context, ready func()) error {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok\n") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		var warnings strings.Builder
		for _, warning := range a.Readiness.Warnings() {
			warnings.WriteString("\nwarning: " + warning)
		}
		if reasons := a.Readiness.Reasons(); len(reasons) > 0 {
			http.Error(w, "not ready\n"+strings.Join(reasons, "\n")+warnings.String(), http.StatusServiceUnavailable)
			return
		}
		_, _ = io.WriteString(w, "ok"+warnings.String()+"\n")
	})
	// Only the OpenMetrics format, which Prometheus asks for, has exemplars.
	mux.Handle("GET /metrics", promhttp.HandlerFor(a.Registry, promhttp.HandlerOpts{EnableOpenMetrics: true}))
	if a.Profiles {
		mux.HandleFunc("GET /debug/pprof/", pprof.Index)
		mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
		mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	}
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second}
	served := make(chan error, 1)
	go func() { served <- server.Serve(a.Listener) }()
	ready()
	select {
	case err := <-served:
		return fmt.Errorf("admin listener: %w", err)
	case <-ctx.Done():
	}
	closed := server.Close() // a scrape under way is not worth waiting for
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("admin listener: %w", err)
	}
	return closed
}
