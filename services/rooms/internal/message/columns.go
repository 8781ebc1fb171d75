package message

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/lobby"
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

// Away wraps a failure to reach the database as chat.CodeUnavailable: nothing is wrong with what was
// asked, and it may be asked again.
func Away(what string, err error) error {
	return fmt.Errorf("%s: %w: %w", what, chat.Errorf(chat.CodeUnavailable, "the database is not available just now"), err)
}

// EventText is a lobby event's rooms as they are stored: JSON, before nil where there is none.
func EventText(event lobby.Event) (room string, before *string, err error) {
	text, err := json.Marshal(event.Room)
	if err != nil || event.Before == nil {
		return string(text), nil, err
	}
	old, err := json.Marshal(event.Before)
	return string(text), new(string(old)), err
}

// ParseEventText fills in what EventText made; before may be empty.
func ParseEventText(event *lobby.Event, room, before string) error {
	if before != "" {
		if err := json.Unmarshal([]byte(before), &event.Before); err != nil {
			return fmt.Errorf("a lobby event's room: %w", err)
		}
	}
	if err := json.Unmarshal([]byte(room), &event.Room); err != nil {
		return fmt.Errorf("a lobby event's room: %w", err)
	}
	return nil
}
