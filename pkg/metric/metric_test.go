package metric

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

func BenchmarkObserve(b *testing.B) {
	reg := prometheus.NewRegistry()
	classic := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "classic", Buckets: Times()})
	both := Histogram(reg, "both", "", Times())
	for name, h := range map[string]prometheus.Histogram{"classic": classic, "both": both} {
		b.Run(name, func(b *testing.B) {
			start, n := time.Now(), 0
			for b.Loop() {
				n++
				h.Observe(float64(n%1000) * 1e-5)
			}
			_ = start
		})
		b.Run(name+"/parallel", func(b *testing.B) {
			b.RunParallel(func(pb *testing.PB) {
				n := 0
				for pb.Next() {
					n++
					h.Observe(float64(n%1000) * 1e-5)
				}
			})
		})
	}
}
