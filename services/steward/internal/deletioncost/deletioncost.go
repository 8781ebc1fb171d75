// Package deletioncost tells Kubernetes which edge to take away first when it scales in: the one that
// the fewest people are connected to.
package deletioncost

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// annotation is what the ReplicaSet controller looks at; a pod without it costs 0.
const annotation = "controller.kubernetes.io/pod-deletion-cost"

// API is what is asked of the API server.
type API interface {
	List(ctx context.Context, kind, selector string, into any) error
	Merge(ctx context.Context, kind, name string, patch any) error
}

// Options are what a Watcher needs.
type Options struct {
	API      API
	Selector string // of the edge pods
	Port     int    // of their admin listeners
	Every    time.Duration
	Log      *slog.Logger
	Registry prometheus.Registerer
}

// Watcher keeps the pods' costs near the number of their connections.
type Watcher struct {
	options Options
	http    *http.Client

	pods    prometheus.Gauge
	rounds  *prometheus.CounterVec
	patches prometheus.Counter
}

const (
	scrapeTimeout = 3 * time.Second
	atOnce        = 8 // pods asked at the same time
)

// New makes a Watcher; Run starts it.
func New(o Options) *Watcher {
	m := promauto.With(o.Registry)
	return &Watcher{
		options: o,
		http:    &http.Client{Timeout: scrapeTimeout},
		pods:    m.NewGauge(prometheus.GaugeOpts{Name: "parley_steward_edges", Help: "Running edge pods seen in the last round."}),
		rounds: m.NewCounterVec(prometheus.CounterOpts{
			Name: "parley_steward_rounds_total", Help: "Rounds over the edge pods: ok, or failed where one could not be asked or told.",
		}, []string{"result"}),
		patches: m.NewCounter(prometheus.CounterOpts{Name: "parley_steward_patches_total", Help: "Deletion costs written to pods."}),
	}
}

// Run watches until ctx ends. It is ready once the API server has answered.
func (w *Watcher) Run(ctx context.Context, ready func()) error {
	ticker := time.NewTicker(w.options.Every)
	defer ticker.Stop()
	for answered := false; ; {
		listed, err := w.round(ctx)
		if listed && !answered {
			answered = true
			ready()
		}
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			w.rounds.WithLabelValues("failed").Inc()
			w.options.Log.WarnContext(ctx, "deletion costs not brought up to date", slog.Any("error", err))
		default:
			w.rounds.WithLabelValues("ok").Inc()
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil
		}
	}
}

type podList struct {
	Items []pod `json:"items"`
}

type pod struct {
	Metadata struct {
		Name              string            `json:"name"`
		Annotations       map[string]string `json:"annotations"`
		DeletionTimestamp string            `json:"deletionTimestamp"`
	} `json:"metadata"`
	Status struct {
		Phase string `json:"phase"`
		PodIP string `json:"podIP"`
	} `json:"status"`
}

// watched says whether it matters what the pod costs: one that is going is not chosen again.
func (p pod) watched() bool {
	return p.Status.Phase == "Running" && p.Status.PodIP != "" && p.Metadata.DeletionTimestamp == ""
}

func (p pod) cost() int {
	cost, _ := strconv.Atoi(p.Metadata.Annotations[annotation]) // what is no number counts as none
	return cost
}

// round asks every pod once, and tells the API server of those that changed. A pod that does not answer
// keeps its cost.
func (w *Watcher) round(ctx context.Context) (listed bool, err error) {
	var pods podList
	if err := w.options.API.List(ctx, "pods", w.options.Selector, &pods); err != nil {
		return false, err
	}
	var (
		group  sync.WaitGroup
		mu     sync.Mutex
		errs   []error
		seen   int
		places = make(chan struct{}, atOnce)
	)
	for _, p := range pods.Items {
		if !p.watched() {
			continue
		}
		seen++
		group.Go(func() {
			places <- struct{}{}
			defer func() { <-places }()
			if err := w.visit(ctx, p); err != nil {
				mu.Lock()
				defer mu.Unlock()
				errs = append(errs, err)
			}
		})
	}
	group.Wait()
	w.pods.Set(float64(seen))
	return true, errors.Join(errs...)
}

func (w *Watcher) visit(ctx context.Context, p pod) error {
	address := net.JoinHostPort(p.Status.PodIP, strconv.Itoa(w.options.Port))
	connections, err := w.connections(ctx, address)
	if err != nil || !noticeable(p.cost(), connections) {
		return err
	}
	patch := map[string]any{"metadata": map[string]any{"annotations": map[string]string{annotation: strconv.Itoa(connections)}}}
	if err := w.options.API.Merge(ctx, "pods", p.Metadata.Name, patch); err != nil {
		return err
	}
	w.patches.Inc()
	return nil
}

// noticeable spares the API server a write for every few people who come and go: a tenth more or less
// changes nothing about which pod goes first, or too little to matter.
func noticeable(before, now int) bool {
	difference := max(before-now, now-before)
	return difference >= 10 && 10*difference >= before || now == 0 && before != 0
}
