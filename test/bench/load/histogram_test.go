//go:build linux

package load

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestQuantilesAreWithinAHundredthAndAHalf(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var h, other Histogram
	var values []int64
	for i := range 20_000 {
		v := int64(math.Exp(random.Float64() * 25)) // 1 ns to over a minute
		values = append(values, v)
		if i%2 == 0 {
			h.Observe(v)
		} else {
			other.Observe(v)
		}
	}
	h.Add(&other)
	slices.Sort(values)
	for _, q := range []float64{0, 0.001, 0.5, 0.9, 0.99, 0.999, 1} {
		want := values[max(0, int(math.Ceil(q*float64(len(values))))-1)]
		if got := h.Quantile(q); got < want || float64(got) > float64(want)*1.016+1 {
			t.Errorf("quantile %v is %d, told as %d", q, want, got)
		}
	}
	if h.Count() != int64(len(values)) {
		t.Error(h.Count(), "values")
	}
	if h.Reset(); h.Count() != 0 || h.Quantile(0.5) != 0 {
		t.Error("not empty after Reset")
	}
}

func TestBucketsTakeEveryValue(t *testing.T) {
	last := -1
	for shift := 1; shift < 63; shift++ {
		for _, v := range []uint64{1 << shift, 1<<shift + 1, 1<<(shift+1) - 1} {
			i := bucket(v)
			if i < last || i >= buckets || upper(i) < int64(v) || i > 0 && upper(i-1) >= int64(v) {
				t.Errorf("%d is in bucket %d, up to %d", v, i, upper(max(0, i)))
			}
			last = i
		}
	}
	var h Histogram
	h.Observe(-5)
	h.Observe(math.MaxInt64)
	if h.Quantile(0.1) != 0 || h.Quantile(1) != math.MaxInt64 {
		t.Error(h.Quantile(0.1), h.Quantile(1))
	}
}
