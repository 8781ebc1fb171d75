//go:build linux

package load

import (
	"math"
	"math/bits"
)

// A Histogram counts nanoseconds in buckets that are 1/64 of their value wide: what it tells is within
// 1.6 % of the truth, and above it.
type Histogram struct {
	counts [buckets]int64
	total  int64
}

const (
	fine    = 6 // bits of a value that count
	buckets = (64 - fine) << fine
)

// Observe counts one value; below 0 is 0.
func (h *Histogram) Observe(ns int64) {
	h.counts[bucket(uint64(max(0, ns)))]++
	h.total++
}

// bucket is the value itself up to 127; beyond, its highest 7 bits and how far they were moved.
func bucket(v uint64) int {
	shift := max(0, bits.Len64(v)-fine-1)
	return shift<<fine + int(v>>shift) //nolint:gosec // below 64*64
}

// Quantile is the value that a share q (0 to 1) of all does not exceed, in nanoseconds; 0 of none.
func (h *Histogram) Quantile(q float64) int64 {
	if h.total == 0 {
		return 0
	}
	wanted := max(1, int64(math.Ceil(q*float64(h.total))))
	for i, n := range h.counts {
		if wanted -= n; wanted <= 0 {
			return upper(i)
		}
	}
	return upper(buckets - 1)
}

// upper is the highest value of a bucket.
func upper(i int) int64 {
	if i < 2<<fine {
		return int64(i)
	}
	shift := i>>fine - 1
	return (int64(i-shift<<fine)+1)<<shift - 1
}

// Count is how many values there are.
func (h *Histogram) Count() int64 { return h.total }

// Add takes in what another has counted.
func (h *Histogram) Add(o *Histogram) {
	for i, n := range o.counts {
		h.counts[i] += n
	}
	h.total += o.total
}

// Reset forgets all.
func (h *Histogram) Reset() { *h = Histogram{} }
