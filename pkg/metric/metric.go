// Package metric creates metrics that are alike in all services. Histograms have classic buckets, which every
// Prometheus reads, and native buckets, which are finer and need no bounds. Labelled counters exist before
// their first event. Observations are linked to their trace by an exemplar.
package metric

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Options of native histograms: each bucket is a tenth wider than the one before. A histogram that needs more
// than nativeBuckets halves its resolution, and may return to the full one after nativeReset.
const (
	nativeFactor  = 1.1
	nativeBuckets = 160
	nativeReset   = time.Hour
)

// DurationBuckets are the classic bounds, in seconds, of work that takes milliseconds and in bad times seconds.
func DurationBuckets() []float64 { return prometheus.ExponentialBuckets(0.0005, 2, 15) }

// Histogram registers a histogram with the given classic bounds.
func Histogram(reg prometheus.Registerer, name, help string, bounds []float64) prometheus.Histogram {
	return promauto.With(reg).NewHistogram(options(name, help, bounds))
}

// Histograms registers a family of histograms with labels.
func Histograms(reg prometheus.Registerer, name, help string, bounds []float64, labels ...string) *prometheus.HistogramVec {
	return promauto.With(reg).NewHistogramVec(options(name, help, bounds), labels)
}

func options(name, help string, bounds []float64) prometheus.HistogramOpts {
	return prometheus.HistogramOpts{
		Name: name, Help: help, Buckets: bounds,
		NativeHistogramBucketFactor: nativeFactor, NativeHistogramMaxBucketNumber: nativeBuckets, NativeHistogramMinResetDuration: nativeReset,
	}
}

// Counters registers a family of counters with one label, and creates a counter at 0 for each of values.
// A counter that first appears at 1 has no rate, so a query would miss its first event.
func Counters(reg prometheus.Registerer, name, help, label string, values ...string) *prometheus.CounterVec {
	family := promauto.With(reg).NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{label})
	for _, value := range values {
		family.WithLabelValues(value)
	}
	return family
}

// Since observes the seconds since start. A traceID that is not empty becomes the exemplar.
func Since(o prometheus.Observer, start time.Time, traceID string) {
	Observe(o, time.Since(start).Seconds(), traceID)
}

// Observe observes a value. A traceID that is not empty becomes the exemplar.
func Observe(o prometheus.Observer, value float64, traceID string) {
	if traceID != "" {
		if e, ok := o.(prometheus.ExemplarObserver); ok {
			e.ObserveWithExemplar(value, prometheus.Labels{"trace_id": traceID})
			return
		}
	}
	o.Observe(value)
}

// Timestamp registers a gauge with the Unix time that at returns, in seconds. The zero time is 0.
func Timestamp(reg prometheus.Registerer, name, help string, labels prometheus.Labels, at func() time.Time) {
	promauto.With(reg).NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help, ConstLabels: labels}, func() float64 {
		moment := at()
		if moment.IsZero() {
			return 0
		}
		return float64(moment.UnixMilli()) / 1000
	})
}
