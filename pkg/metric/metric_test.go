package metric

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// gathered returns what a scrape would find of the only family.
func gathered(t *testing.T, reg *prometheus.Registry) *dto.MetricFamily {
	t.Helper()
	families, err := reg.Gather()
	if err != nil || len(families) != 1 {
		t.Fatal(families, err)
	}
	return families[0]
}

func TestHistogramsAreClassicAndNativeAndLeadToTraces(t *testing.T) {
	reg := prometheus.NewRegistry()
	h := Histogram(reg, "parley_test_seconds", "Help.", DurationBuckets())
	Observe(h, 0.003, "")
	Observe(h, 0.3, "0af7651916cd43dd8448eb211c80319c")
	got := gathered(t, reg).GetMetric()[0].GetHistogram()
	if got.GetSampleCount() != 2 || len(got.GetBucket()) != len(DurationBuckets()) || len(got.GetPositiveSpan()) == 0 {
		t.Error(got)
	}
	var traced []string
	for _, bucket := range got.GetBucket() {
		for _, label := range bucket.GetExemplar().GetLabel() {
			traced = append(traced, label.GetName()+"="+label.GetValue())
		}
	}
	if len(traced) != 1 || traced[0] != "trace_id=0af7651916cd43dd8448eb211c80319c" {
		t.Error("exemplars:", traced)
	}
}

func TestCountersAreThereBeforeTheirFirstEvent(t *testing.T) {
	reg := prometheus.NewRegistry()
	Counters(reg, "parley_test_total", "Help.", "result", "ok", "failed")
	if got := gathered(t, reg).GetMetric(); len(got) != 2 || got[0].GetCounter().GetValue() != 0 {
		t.Error(got)
	}
}

func TestATimestampIsZeroForNever(t *testing.T) {
	var at time.Time
	reg := prometheus.NewRegistry()
	Timestamp(reg, "parley_test_timestamp_seconds", "Help.", nil, func() time.Time { return at })
	if got := gathered(t, reg).GetMetric()[0].GetGauge().GetValue(); got != 0 {
		t.Error(got)
	}
	at = time.UnixMilli(1_700_000_000_500)
	if got := gathered(t, reg).GetMetric()[0].GetGauge().GetValue(); got != 1_700_000_000.5 {
		t.Error(got)
	}
}
