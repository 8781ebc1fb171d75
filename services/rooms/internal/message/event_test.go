package message

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/operation"
)

// FuzzRender holds that text comes back as it was sent.
func FuzzRender(f *testing.F) {
	for _, seed := range []string{"hi", "<script>&amp;</script>", "a\u2028b\u2029", "\x01\x1f\x7f\\\"", "👩‍👩‍👧", "\ufeff\ufffd", "\xff", ""} {
		f.Add(seed, seed)
	}
	f.Fuzz(func(t *testing.T, body, name string) {
		if chat.CheckBody(body) != nil || chat.CheckName("name", name, chat.MaxUserName) != nil {
			return
		}
		row := Entry{Seq: 7, Message: 7, Kind: operation.EntryMessage, Author: chat.Author{ID: "u", Name: name, Kind: chat.KindUser}, Body: body, At: chat.At(time.Unix(1, 0))}
		entry := render("room", ReadEntry{Entry: row})
		var event struct {
			Type, Room string
			Seq        chat.Seq
			Message    chat.Message
		}
		if err := json.Unmarshal(entry.Event, &event); err != nil {
			t.Fatal(err)
		}
		if event.Message.Body != body || event.Message.Author.Name != name || event.Type != "message" || event.Room != "room" || event.Seq != 7 {
			t.Errorf("%q by %q came back as %s", body, name, entry.Event)
		}
	})
}
