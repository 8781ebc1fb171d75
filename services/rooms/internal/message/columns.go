package message

import (
	"fmt"
	"time"

	"github.com/parley-chat/parley/pkg/chat"
)

// What the stores have in common beyond SQL.

// Millis is a time as it is stored, nil for none.
func Millis(t chat.Time) *int64 {
	if t.IsZero() {
		return nil
	}
	return new(t.UnixMilli())
}

// FromMillis is a time as it was stored, zero for none.
func FromMillis(ms int64) chat.Time {
	if ms == 0 {
		return chat.Time{}
	}
	return chat.At(time.UnixMilli(ms))
}

// DatabaseAway is what a client is told while the database can't be used.
const DatabaseAway = "the database is not available just now"

// Away wraps a failure to reach the database as chat.CodeUnavailable: nothing is wrong with what was
// asked, and it may be asked again.
func Away(what string, err error) error {
	return fmt.Errorf("%s: %w: %w", what, chat.Errorf(chat.CodeUnavailable, "the database is not available just now"), err)
}
