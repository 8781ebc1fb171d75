package deletioncost

import (
	"context"
	"fmt"
	"io"
	"math"
	"net/http"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

const (
	metric    = "parley_edge_connections"
	maxScrape = 8 << 20
)

// connections reads the number of connections from the metrics of the edge at address.
func (w *Watcher) connections(ctx context.Context, address string) (int, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/metrics", http.NoBody)
	if err != nil {
		return 0, fmt.Errorf("edge at %s: %w", address, err)
	}
	response, err := w.http.Do(request)
	if err != nil {
		return 0, fmt.Errorf("edge at %s (does its NetworkPolicy let this pod in?): %w", address, err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("edge at %s: /metrics answers %s", address, response.Status)
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(io.LimitReader(response.Body, maxScrape))
	if err != nil {
		return 0, fmt.Errorf("edge at %s: /metrics: %w", address, err)
	}
	family := families[metric]
	if family == nil {
		return 0, fmt.Errorf("edge at %s: /metrics has no %s (is this the admin port of an edge?)", address, metric)
	}
	sum := 0.0
	for _, m := range family.GetMetric() {
		sum += m.GetGauge().GetValue()
	}
	return int(min(max(sum, 0), math.MaxInt32)), nil
}
