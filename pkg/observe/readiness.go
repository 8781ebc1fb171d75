package observe

import (
	"maps"
	"slices"
	"sync"
)

// Readiness is whether a process wants new work: it has started, is not about to stop, and none of its parts
// knows a reason why not. Its zero value has not started.
type Readiness struct {
	mu      sync.Mutex
	up      bool
	reasons map[string]string // by part
}

// Set says whether the process has started and is not about to stop.
func (r *Readiness) Set(up bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.up = up
}

// Because says why a part can't do its work, "" once it can again. A reason is shown to whoever can reach the
// admin listener: no secrets. Nobody is told by a nil Readiness.
func (r *Readiness) Because(part, reason string) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.reasons == nil {
		r.reasons = map[string]string{}
	}
	r.reasons[part] = reason
	if reason == "" {
		delete(r.reasons, part)
	}
}

// Ready says whether the process wants new work.
func (r *Readiness) Ready() bool { return len(r.Reasons()) == 0 }

// Reasons are why it wants none, in order; none where it does.
func (r *Readiness) Reasons() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var reasons []string
	if !r.up {
		reasons = append(reasons, "the process is starting or stopping")
	}
	for _, part := range slices.Sorted(maps.Keys(r.reasons)) {
		reasons = append(reasons, part+": "+r.reasons[part])
	}
	return reasons
}
