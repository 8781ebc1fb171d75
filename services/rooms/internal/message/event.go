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

// header is what the frame of every entry begins with.
type header struct {
	Type string    `json:"type"`
	Room chat.Slug `json:"room"`
	Seq  chat.Seq  `json:"seq"`
}

// notice is the service's own word.
type notice struct {
	header

	Text string `json:"text,omitempty"`
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

// render makes the JSON of an entry, once for all who get it. Of a kind that a newer release wrote, it shows that it is
// there.
func render(slug chat.Slug, e ReadEntry) roomsapi.Entry {
	entry := roomsapi.Entry{Seq: e.Seq, Kind: e.Kind, Message: e.Message, AtMS: e.At.UnixMilli()}
	h := header{Type: e.Kind, Room: slug, Seq: e.Seq}
	var frame any = h
	if effect := effectsByEntry[e.Kind]; effect != nil {
		frame = effect.show(h, e)
	} else if e.Kind == KindNotice {
		frame = notice{h, e.Body}
	}
	entry.Event = encode(frame)
	if e.Subject != nil {
		entry.State = encode(messageOf(e.Subject))
	}
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
