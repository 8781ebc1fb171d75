// Package metric makes the histograms of all services, all of one make: classic buckets, which every
// Prometheus reads, and native ones beside them, which are finer and need no bounds. It makes counters
// show up before their first event, and links what was measured to its trace.
package metric

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Of a native histogram: each bucket reaches a tenth further than the one before, at most so many of them
// are kept (the resolution is halved beyond), and one that was made coarser may be fine again after a while.
const (
	nativeFactor  = 1.1
	nativeBuckets = 160
	nativeReset   = time.Hour
)

// Times are the bounds of what shall take milliseconds and may take seconds.
func Times() []float64 { return prometheus.ExponentialBuckets(0.0005, 2, 15) }

// Histogram makes a histogram with those classic bounds.
func Histogram(reg prometheus.Registerer, name, help string, bounds []float64) prometheus.Histogram {
	return promauto.With(reg).NewHistogram(options(name, help, bounds))
}

// Histograms makes a family of histograms, told apart by labels.
func Histograms(reg prometheus.Registerer, name, help string, bounds []float64, labels ...string) *prometheus.HistogramVec {
	return promauto.With(reg).NewHistogramVec(options(name, help, bounds), labels)
}

func options(name, help string, bounds []float64) prometheus.HistogramOpts {
	return prometheus.HistogramOpts{
		Name: name, Help: help, Buckets: bounds,
		NativeHistogramBucketFactor: nativeFactor, NativeHistogramMaxBucketNumber: nativeBuckets, NativeHistogramMinResetDuration: nativeReset,
	}
}

// Counters makes a family of counters with one label, of which the values named are there from the start:
// what counts from 1 on has no rate, so its first event would be seen by nobody.
func Counters(reg prometheus.Registerer, name, help, label string, values ...string) *prometheus.CounterVec {
	family := promauto.With(reg).NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{label})
	for _, value := range values {
		family.WithLabelValues(value)
	}
	return family
}

// Since observes the time since start, with the trace that it belongs to, "" for none.
func Since(o prometheus.Observer, start time.Time, traceID string) {
	Observe(o, time.Since(start).Seconds(), traceID)
}

// Observe observes a value with the trace that it belongs to, "" for none.
func Observe(o prometheus.Observer, value float64, traceID string) {
	if traceID != "" {
		if e, ok := o.(prometheus.ExemplarObserver); ok {
			e.ObserveWithExemplar(value, prometheus.Labels{"trace_id": traceID})
			return
		}
	}
	o.Observe(value)
}

// Timestamp registers a gauge of a moment, in Unix seconds, 0 for never.
func Timestamp(reg prometheus.Registerer, name, help string, labels prometheus.Labels, at func() time.Time) {
	promauto.With(reg).NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help, ConstLabels: labels}, func() float64 {
		moment := at()
		if moment.IsZero() {
			return 0
		}
		return float64(moment.UnixMilli()) / 1000
	})
}
