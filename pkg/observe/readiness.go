package observe

import (
	"maps"
	"slices"
	"sync"
)

// Readiness is whether a process wants new work: it has started, is not about to stop, and none of its parts
// knows a reason why not. Its zero value has not started.
type Readiness struct {
	mu       sync.Mutex
	up       bool
	reasons  map[string]string // by part
	warnings map[string]string // by part
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
	set(&r.reasons, part, reason)
}

// Warn says what an operator should mend, although the process does its work; "" once it is mended. As to secrets it
// is like Because.
func (r *Readiness) Warn(part, warning string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	set(&r.warnings, part, warning)
}

func set(texts *map[string]string, part, text string) {
	if *texts == nil {
		*texts = map[string]string{}
	}
	(*texts)[part] = text
	if text == "" {
		delete(*texts, part)
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
	return append(reasons, list(r.reasons)...)
}

// Warnings are what an operator should mend, in order.
func (r *Readiness) Warnings() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return list(r.warnings)
}

func list(texts map[string]string) (lines []string) {
	for _, part := range slices.Sorted(maps.Keys(texts)) {
		lines = append(lines, part+": "+texts[part])
	}
	return lines
}
