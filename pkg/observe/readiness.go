package observe

import (
	"maps"
	"slices"
	"sync"
)

// Readiness holds whether a process is ready for new work: it has started, it is not about to stop, and none of
// its parts reports a problem. The zero value has not started.
type Readiness struct {
	mu       sync.Mutex
	up       bool
	reasons  map[string]string // by part
	warnings map[string]string // by part
}

// Set records whether the process has started and is not about to stop.
func (r *Readiness) Set(up bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.up = up
}

// NotReady records why a part can't do its work; an empty reason means that it works again. The admin listener
// shows the reason, so it must not contain secrets. A nil Readiness ignores the call.
func (r *Readiness) NotReady(part, reason string) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	set(&r.reasons, part, reason)
}

// Warn records a problem that an operator should fix although the part does its work; an empty warning means that
// it is fixed. The admin listener shows the warning, so it must not contain secrets.
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

// Ready reports whether the process is ready for new work.
func (r *Readiness) Ready() bool { return len(r.Reasons()) == 0 }

// Reasons lists why the process is not ready, sorted by part. It is empty if the process is ready.
func (r *Readiness) Reasons() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var reasons []string
	if !r.up {
		reasons = append(reasons, "the process is starting or stopping")
	}
	return append(reasons, list(r.reasons)...)
}

// Warnings lists what an operator should fix, sorted by part.
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
