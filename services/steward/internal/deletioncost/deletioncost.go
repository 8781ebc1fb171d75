// Package deletioncost sets the pod deletion cost of each edge to its number of connections, so that Kubernetes
// removes the edge with the fewest connections first when it scales in.
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

// annotation is the annotation that the ReplicaSet controller reads. A pod without it costs 0.
const annotation = "controller.kubernetes.io/pod-deletion-cost"

// API is the part of the Kubernetes API that a Watcher uses.
type API interface {
	List(ctx context.Context, kind, selector string, into any) error
	Merge(ctx context.Context, kind, name string, patch any) error
}

// Options configure a Watcher.
type Options struct {
	API      API
	Selector string // of the edge pods
	Port     int    // of their admin listeners
	Every    time.Duration
	Log      *slog.Logger
	Registry prometheus.Registerer
}

// Watcher updates the pods' deletion costs.
type Watcher struct {
	options Options
	http    *http.Client

	pods    prometheus.Gauge
	rounds  *prometheus.CounterVec
	patches prometheus.Counter
}

const (
	scrapeTimeout = 3 * time.Second
	maxParallel   = 8 // scrapes at the same time
)

// New makes a Watcher. Run starts it.
func New(o Options) *Watcher {
	m := promauto.With(o.Registry)
	return &Watcher{
		options: o,
		http:    &http.Client{Timeout: scrapeTimeout},
		pods:    m.NewGauge(prometheus.GaugeOpts{Name: "parley_steward_edges", Help: "Running edge pods seen in the last round."}),
		rounds: m.NewCounterVec(prometheus.CounterOpts{
			Name: "parley_steward_rounds_total", Help: "Rounds over the edge pods: ok, or failed if at least one pod could not be read or updated.",
		}, []string{"result"}),
		patches: m.NewCounter(prometheus.CounterOpts{Name: "parley_steward_patches_total", Help: "Deletion costs written to pods."}),
	}
}

// Run watches until ctx ends. It is ready once the API server has answered.
func (w *Watcher) Run(ctx context.Context, ready func()) error {
	ticker := time.NewTicker(w.options.Every)
	defer ticker.Stop()
	for isReady := false; ; {
		listed, err := w.round(ctx)
		if listed && !isReady {
			isReady = true
			ready()
		}
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			w.rounds.WithLabelValues("failed").Inc()
			w.options.Log.WarnContext(ctx, "some deletion costs are out of date", slog.Any("error", err))
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

// needsCost reports whether the pod's cost matters. Kubernetes does not choose a pod that is already terminating.
func (p pod) needsCost() bool {
	return p.Status.Phase == "Running" && p.Status.PodIP != "" && p.Metadata.DeletionTimestamp == ""
}

func (p pod) cost() int {
	cost, _ := strconv.Atoi(p.Metadata.Annotations[annotation]) // an invalid cost counts as 0
	return cost
}

// round reads the connections of every pod once, and writes the costs that changed. A pod that does not answer keeps
// its cost.
func (w *Watcher) round(ctx context.Context) (listed bool, err error) {
	var pods podList
	if err := w.options.API.List(ctx, "pods", w.options.Selector, &pods); err != nil {
		return false, err
	}
	var (
		group sync.WaitGroup
		mu    sync.Mutex
		errs  []error
		seen  int
		slots = make(chan struct{}, maxParallel)
	)
	for _, p := range pods.Items {
		if !p.needsCost() {
			continue
		}
		seen++
		group.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			if err := w.update(ctx, p); err != nil {
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

// update reads the connections of a pod, and writes its cost if that changed enough.
func (w *Watcher) update(ctx context.Context, p pod) error {
	address := net.JoinHostPort(p.Status.PodIP, strconv.Itoa(w.options.Port))
	connections, err := w.connections(ctx, address)
	if err != nil || !changedEnough(p.cost(), connections) {
		return err
	}
	patch := map[string]any{"metadata": map[string]any{"annotations": map[string]string{annotation: strconv.Itoa(connections)}}}
	if err := w.options.API.Merge(ctx, "pods", p.Metadata.Name, patch); err != nil {
		return err
	}
	w.patches.Inc()
	return nil
}

// changedEnough reports whether a cost is worth a write. A change of less than a tenth, or of less than ten, hardly
// affects which pod is removed first, and would cost a write for every few people who come and go.
func changedEnough(before, now int) bool {
	difference := max(before-now, now-before)
	return difference >= 10 && 10*difference >= before || now == 0 && before != 0
}
