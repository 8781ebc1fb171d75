package history

import (
	"cmp"
	"slices"
	"time"

	"github.com/parley-chat/parley/pkg/chat"
)

// History is all that the invariants are about.
type History struct {
	Epochs       []Epoch     // the oldest first; the last one's logs are those of now
	Operations   []Operation // in each client's order
	Observations []*Observation
	Problems     []Violation // that were seen while it happened
	// Fresh is each room as it loads now: all its messages, oldest first.
	Fresh map[chat.Slug][]chat.Message
}

// Now are the logs at the end.
func (h *History) Now() map[chat.Slug]*Log { return h.Epochs[len(h.Epochs)-1].Logs }

// Logs are all logs of all epochs.
func (h *History) Logs() (all []*Log) {
	for _, epoch := range h.Epochs {
		for _, log := range epoch.Logs {
			all = append(all, log)
		}
	}
	slices.SortStableFunc(all, func(a, b *Log) int { return cmp.Compare(a.Room, b.Room) })
	return all
}

// Log finds a log by its name, nil for none.
func (h *History) Log(room chat.Slug, name chat.LogID) *Log {
	for _, epoch := range h.Epochs {
		if log := epoch.Logs[room]; log != nil && log.Name == name {
			return log
		}
	}
	return nil
}

// epochAt is the epoch that a moment belongs to.
func (h *History) epochAt(at time.Time) int {
	for i := len(h.Epochs) - 1; i > 0; i-- {
		if !h.Epochs[i].Began.After(at) {
			return i
		}
	}
	return 0
}

// EpochsOf are the epochs in which a operation may have been done.
func (h *History) EpochsOf(d *Operation) (first, last int) {
	return h.epochAt(d.Started), h.epochAt(d.Answered)
}
