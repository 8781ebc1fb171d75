package message

import (
	"bytes"
	"encoding/json"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/roomsapi"
)

// message is chat.Message as the wire shows it: a deleted one has no body at all.
type message struct {
	ID       chat.Seq    `json:"id"`
	Author   chat.Author `json:"author"`
	Body     *string     `json:"body,omitempty"`
	SentAt   chat.Time   `json:"sent_at"`
	Nonce    string      `json:"nonce,omitempty"`
	ReplyTo  chat.Seq    `json:"reply_to,omitempty"`
	EditedAt *chat.Time  `json:"edited_at,omitempty"`
	Deleted  bool        `json:"deleted,omitempty"`
}

// event is an entry as the wire shows it.
type event struct {
	Type    string    `json:"type"`
	Room    chat.Slug `json:"room"`
	Seq     chat.Seq  `json:"seq"`
	Message any       `json:"message,omitempty"` // the whole message, or a deleted one's id
	Text    string    `json:"text,omitempty"`
}

func messageOf(row *Entry) message {
	m := message{ID: row.Seq, Author: row.Author, SentAt: row.At, Nonce: row.Nonce, ReplyTo: row.ReplyTo, Deleted: row.DeletedBy != 0}
	if !m.Deleted {
		m.Body = &row.Body
	}
	if !row.EditedAt.IsZero() {
		m.EditedAt = &row.EditedAt
	}
	return m
}

// render makes the JSON of an entry, once for all who get it.
func render(slug chat.Slug, item ReadEntry) roomsapi.Entry {
	entry := roomsapi.Entry{Seq: item.Seq, Kind: item.Kind, Message: item.Message, AtMS: item.At.UnixMilli()}
	e := event{Type: item.Kind, Room: slug, Seq: item.Seq}
	switch item.Kind {
	case KindMessage:
		e.Message = messageOf(&item.Entry)
	case KindEdited:
		state := messageOf(item.Subject)
		e.Message, entry.State = state, encode(state)
	case KindDeleted:
		e.Message, entry.State = item.Message, encode(messageOf(item.Subject))
	default:
		e.Text = item.Body
	}
	entry.Event = encode(e)
	return entry
}

// encode writes v without the escapes that only HTML needs.
func encode(v any) json.RawMessage {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		panic(err) // plain structs of strings and numbers: it can't
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}
