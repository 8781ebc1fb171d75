package wire

import (
	"encoding/json"

	"github.com/parley-chat/parley/pkg/chat"
)

// Limits tells clients what the server takes: bytes of a frame and of a body, rooms per socket,
// entries that a join replays, members that a room lists by name.
type Limits struct {
	Frame   int `json:"frame"`
	Body    int `json:"body"`
	Rooms   int `json:"rooms"`
	Replay  int `json:"replay"`
	Members int `json:"members"`
}

// Hello is the first frame of a server, once the socket is authenticated.
type Hello struct {
	Type        string         `json:"type"` // "hello"
	Session     chat.SessionID `json:"session"`
	User        chat.User      `json:"user"`
	HeartbeatMS int64          `json:"heartbeat_ms"`
	Limits      Limits         `json:"limits"`
}

// Authed answers auth.
type Authed struct {
	Type      string    `json:"type"` // "authed"
	ID        *int64    `json:"id,omitempty"`
	ExpiresAt chat.Time `json:"expires_at"`
}

// Joined answers join. Either Events (Recovered: every entry since the client's cursor) or Messages
// (the newest, in current state, oldest first) is there. The next log event is Cursor + 1.
// Members and MemberCount are nil where presence is off or away.
type Joined struct {
	Type        string            `json:"type"` // "joined"
	ID          *int64            `json:"id,omitempty"`
	Room        chat.Room         `json:"room"`
	Cursor      chat.Seq          `json:"cursor"`
	Messages    []json.RawMessage `json:"messages,omitzero"`
	Events      []json.RawMessage `json:"events,omitzero"`
	HasMore     bool              `json:"has_more"`
	Recovered   bool              `json:"recovered"`
	Members     []chat.User       `json:"members,omitzero"`
	MemberCount *int              `json:"member_count,omitempty"`
}

// Left answers leave.
type Left struct {
	Type string    `json:"type"` // "left"
	ID   *int64    `json:"id,omitempty"`
	Room chat.Slug `json:"room"`
}

// Sent answers send once the message is committed in the database.
type Sent struct {
	Type    string    `json:"type"` // "sent"
	ID      *int64    `json:"id,omitempty"`
	Room    chat.Slug `json:"room"`
	Message chat.Seq  `json:"message"`
}

// OK answers edit and delete with the seq of their entry.
type OK struct {
	Type string   `json:"type"` // "ok"
	ID   *int64   `json:"id,omitempty"`
	Seq  chat.Seq `json:"seq"`
}

// History answers history, newest first.
type History struct {
	Type     string            `json:"type"` // "history"
	ID       *int64            `json:"id,omitempty"`
	Room     chat.Slug         `json:"room"`
	Messages []json.RawMessage `json:"messages"`
	HasMore  bool              `json:"has_more"`
}

// Members answers members; the list and the count may be missing.
type Members struct {
	Type        string      `json:"type"` // "members"
	ID          *int64      `json:"id,omitempty"`
	Room        chat.Slug   `json:"room"`
	Members     []chat.User `json:"members,omitzero"`
	MemberCount *int        `json:"member_count,omitempty"`
}

// Error answers what could not be done.
type Error struct {
	Type string `json:"type"` // "error"
	ID   *int64 `json:"id,omitempty"`
	chat.ErrorBody
}

// Presence is entered and exited, by Type: they tell of a user's first and last socket in a room.
type Presence struct {
	Type        string    `json:"type"` // "entered" or "exited"
	Room        chat.Slug `json:"room"`
	User        chat.User `json:"user"`
	MemberCount int       `json:"member_count"`
}

// Typing tells that somebody else types.
type Typing struct {
	Type string      `json:"type"` // "typing"
	Room chat.Slug   `json:"room"`
	User chat.Author `json:"user"`
}

// RoomEvent is room_created and room_updated, by Type.
type RoomEvent struct {
	Type string    `json:"type"`
	Room chat.Room `json:"room"`
}

// RoomGone is room_deleted.
type RoomGone struct {
	Type string    `json:"type"` // "room_deleted"
	Room chat.Slug `json:"room"`
}

// Kicked tells that the socket was taken out of a room.
type Kicked struct {
	Type   string    `json:"type"` // "kicked"
	Room   chat.Slug `json:"room"`
	Reason string    `json:"reason"`
}

// Draining asks to reconnect at a random moment within AfterMS.
type Draining struct {
	Type    string `json:"type"` // "draining"
	AfterMS int64  `json:"after_ms"`
}

// NewError makes the frame that answers the command id with err.
func NewError(id *int64, err error) Error {
	return Error{Type: "error", ID: id, ErrorBody: chat.BodyOf(err)}
}

// Event is what every frame of a room's log has. Clients read it before they know the rest.
type Event struct {
	Type    string       `json:"type"`
	Room    chat.Slug    `json:"room"`
	Seq     chat.Seq     `json:"seq"`
	Message EventMessage `json:"message,omitzero"`
	Text    string       `json:"text,omitempty"` // notice
}

// EventMessage is the message of an event: whole in message and edited, only its ID in deleted.
type EventMessage struct{ chat.Message }

// IsZero says that the event has no message.
func (m EventMessage) IsZero() bool { return m.ID == 0 }

// MarshalJSON writes the whole message, or its number if nothing but that is known.
func (m EventMessage) MarshalJSON() ([]byte, error) {
	if m.Author.ID == "" {
		return json.Marshal(m.ID)
	}
	return json.Marshal(m.Message)
}

// UnmarshalJSON reads a message or its number.
func (m *EventMessage) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] != '{' {
		return json.Unmarshal(data, &m.ID)
	}
	return json.Unmarshal(data, &m.Message)
}
