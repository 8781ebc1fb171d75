package drain

import (
	"math/rand/v2"
	"time"
)

// Lifetime is after how long a client that stays connected is sent elsewhere, so that pods that are new
// fill: about maxAge, since clients that came at once shall not go at once. 0 is never.
func Lifetime(maxAge time.Duration) time.Duration {
	return time.Duration(float64(maxAge) * (0.8 + 0.4*rand.Float64())) //nolint:gosec // only spreads
}

// Within is the time in which a client that is sent elsewhere goes.
func Within() time.Duration {
	return time.Second + rand.N(4*time.Second) //nolint:gosec // only spreads
}
