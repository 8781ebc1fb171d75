package faults

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"time"
)

// meter measures how long there was no service: from when somebody wanted to send, or since the fault if
// that is later, until the answer, and until somebody on another edge had it.
type meter struct {
	mu     sync.Mutex
	window *window // nil between faults
	kinds  map[string]*Gap
	calm   Gap
	steady bool                 // everybody is at home, and nothing has happened to them
	sent   map[string]*sending  // by nonce
	acked  map[int]time.Time    // probe → when the newest that was acked was begun
	had    map[[2]int]time.Time // from probe, to probe → when the newest that was delivered was begun
}

// sending is a message on its way.
type sending struct {
	begun time.Time
	had   map[int]bool // by the probe that has it
}

type window struct {
	kind  string
	began time.Time
	gap   Gap
}

// Gap is the longest times without service.
type Gap struct {
	Kind     string        `json:"kind"`
	Count    int           `json:"count"`
	Ack      time.Duration `json:"ack_ns"`      // from sending to sent
	Delivery time.Duration `json:"delivery_ns"` // from sending to delivery on another edge
}

func newMeter() *meter {
	return &meter{kinds: map[string]*Gap{}, calm: Gap{Kind: "none"}, sent: map[string]*sending{}, acked: map[int]time.Time{}, had: map[[2]int]time.Time{}}
}

func (m *meter) begin(kind string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.window, m.steady = &window{kind: kind, began: time.Now()}, false
}

func (m *meter) end() Gap {
	m.mu.Lock()
	defer m.mu.Unlock()
	gap := m.window.gap
	total := m.kinds[m.window.kind]
	if total == nil {
		total = &Gap{Kind: m.window.kind}
		m.kinds[m.window.kind] = total
	}
	total.Count++
	total.Ack, total.Delivery = max(total.Ack, gap.Ack), max(total.Delivery, gap.Delivery)
	m.window = nil
	for nonce, sent := range m.sent { // what a restore took back never comes
		if time.Since(sent.begun) > time.Minute {
			delete(m.sent, nonce)
		}
	}
	return gap
}

// gaps are all kinds by name, and the times without any fault.
func (m *meter) gaps() []Gap {
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []Gap
	for gap := range maps.Values(m.kinds) {
		all = append(all, *gap)
	}
	slices.SortFunc(all, func(a, b Gap) int { return cmp.Compare(a.Kind, b.Kind) })
	return append(all, m.calm)
}

// took is from begun, or since the fault, until now.
func (m *meter) took(begun time.Time, longest func(*Gap) *time.Duration) {
	gap := &m.calm
	switch {
	case m.window == nil && !m.steady:
		return
	case m.window != nil:
		gap = &m.window.gap
		if begun.Before(m.window.began) {
			begun = m.window.began
		}
	}
	*longest(gap) = max(*longest(gap), time.Since(begun))
}

// settle says that from now on nothing happens until the next fault.
func (m *meter) settle() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.steady = true
}

func (m *meter) send(nonce string) (begun time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	begun = time.Now()
	m.sent[nonce] = &sending{begun: begun, had: map[int]bool{}}
	return begun
}

func (m *meter) ack(probe int, begun time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.took(begun, func(g *Gap) *time.Duration { return &g.Ack })
	m.acked[probe] = begun
}

func (m *meter) delivered(from, to int, nonce string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	sent := m.sent[nonce]
	if sent == nil || sent.had[to] { // who begins anew is shown what it had
		return
	}
	sent.had[to] = true
	begun := sent.begun
	m.took(begun, func(g *Gap) *time.Duration { return &g.Delivery })
	if pair := [2]int{from, to}; begun.After(m.had[pair]) {
		m.had[pair] = begun
	}
}

// servedSince says whether every probe had an ack, and every other one that message, for something that
// was sent after a moment.
func (m *meter) servedSince(since time.Time, probes int) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	for from := range probes {
		if !m.acked[from].After(since) {
			return false
		}
		for to := range probes {
			if to != from && !m.had[[2]int{from, to}].After(since) {
				return false
			}
		}
	}
	return true
}
