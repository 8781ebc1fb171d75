//go:build linux

package monitored

import "testing"

func TestShorten(t *testing.T) {
	for text, want := range map[string]string{
		"sum_over_time(parley:slo_bad:rate5m[1h:1m]) * 60": "sum_over_time(parley:slo_bad:rate5m[180s:3s]) * 60",
		"rate(x_total[5m]) > 5":                            "rate(x_total[15s]) > 5",
		"last_over_time(parley_build_info[1d])":            "last_over_time(parley_build_info[4320s])",
		"        for: 10m\n        for: 15s\n":             "        for: 30s\n        for: 1s\n",
		"every 5 minutes (PARLEY_X, 10 min)":               "every 5 minutes (PARLEY_X, 10 min)",
	} {
		if is := shorten(text); is != want {
			t.Errorf("%q becomes %q, want %q", text, is, want)
		}
	}
}
