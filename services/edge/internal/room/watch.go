package room

import (
	"encoding/json"
	"time"

	"github.com/parley-chat/parley/pkg/chat"
)

// Watcher is woken when a room that it watches has news: for long polls and event streams, which
// take what they can at their own pace instead of having it handed to them.
type Watcher struct{ C chan struct{} }

// NewWatcher makes a watcher.
func NewWatcher() *Watcher { return &Watcher{C: make(chan struct{}, 1)} }

// Watch wakes w at every change of the room until Unwatch.
func (r *Room) Watch(w *Watcher) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.watchers[w] = struct{}{}
}

// Unwatch ends Watch.
func (r *Room) Unwatch(w *Watcher) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.watchers, w)
	r.idle = time.Now()
}

func (r *Room) notifyWatchers() {
	for w := range r.watchers {
		select {
		case w.C <- struct{}{}:
		default:
		}
	}
}

// Since returns the events after a seq that memory holds, for a reader. CodeNotFound if
// the room is gone, CodeUnavailable if access must be asked for again; false if memory does not
// reach back that far.
func (r *Room) Since(after chat.Seq, reader Reader) (events []json.RawMessage, head chat.Seq, ok bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err = r.refusal(); err != nil {
		return nil, 0, false, err
	}
	if !r.grants.holds(reader) {
		return nil, 0, false, ErrAskAgain
	}
	events, ok = r.tail.since(r.head, min(after, r.head))
	return events, r.head, ok, nil
}
