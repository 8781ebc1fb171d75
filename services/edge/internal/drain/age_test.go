package drain

import (
	"testing"
	"time"
)

func TestClientsThatCameAtOnceDoNotGoAtOnce(t *testing.T) {
	least, most := time.Hour, time.Duration(0)
	for range 1000 {
		life := Lifetime(100 * time.Second)
		least, most = min(least, life), max(most, life)
		if within := Within(); within < time.Second || within > 5*time.Second {
			t.Fatal(within)
		}
	}
	if least < 80*time.Second || least > 85*time.Second || most > 120*time.Second || most < 115*time.Second {
		t.Error(least, most)
	}
}
