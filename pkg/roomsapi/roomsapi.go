// Package roomsapi is the border between the edges and the rooms service: the paths, requests and
// answers of the listener that no Ingress routes to. Every call carries the service credential as
// "Authorization: Bearer <credential>"; whoever acts is named by the verified user token inside.
// Fields may be added; readers ignore what they do not know.
package roomsapi

import (
	"encoding/json"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/operation"
)

// The paths of the internal listener. All are POST with a JSON body.
const (
	PathAppend  = "/internal/append"
	PathAccess  = "/internal/access"
	PathTail    = "/internal/tail"
	PathEntries = "/internal/entries"
	PathHistory = "/internal/history"
	PathHeads   = "/internal/heads"
)

// Kind is what an append asks for.
type Kind = operation.Name

// The kinds of appends.
const (
	KindSend   Kind = operation.NameSend
	KindEdit   Kind = operation.NameEdit
	KindDelete Kind = operation.NameDelete
)

// Append asks for one entry. Token is the author's access token, verified again by rooms.
// The room is named by Room (its id): whoever appends has joined it.
type Append struct {
	Token string         `json:"token"`
	Room  chat.RoomID    `json:"room"`
	Kind  operation.Name `json:"kind"`
	operation.Request
	// Traceparent is the span that the append is a part of, in the form of W3C Trace Context; of most there is none.
	Traceparent string `json:"traceparent,omitempty"`
}

// AppendRequest is a batch; its entries are decided in order, each for itself.
type AppendRequest struct {
	Entries []Append `json:"entries"`
}

// Outcome answers one Append: Seq is that of the entry, which is the id of a message that was sent.
type Outcome struct {
	Seq   chat.Seq `json:"seq,omitempty"`
	Error *Error   `json:"error,omitempty"`
}

// AppendResponse has one outcome per entry, in order.
type AppendResponse struct {
	Outcomes []Outcome `json:"outcomes"`
}

// Error is a chat.Error between services.
type Error struct {
	Code         chat.Code      `json:"code"`
	Message      string         `json:"message"`
	RetryAfterMS int64          `json:"retry_after_ms,omitempty"`
	Details      map[string]any `json:"details,omitempty"`
}

// Question asks what the bearer of Token may do in the room Slug; without a token, what nobody in
// particular may, of the default tenant.
type Question struct {
	Token string    `json:"token"`
	Slug  chat.Slug `json:"slug"`
}

// AccessRequest asks many questions in one call.
type AccessRequest struct {
	Questions []Question `json:"questions"`
}

// Access answers one Question. A room that the user may not know of is chat.CodeNotFound, exactly as none.
type Access struct {
	Error *Error      `json:"error,omitempty"`
	ID    chat.RoomID `json:"id,omitempty"`
	Room  *chat.Room  `json:"room,omitempty"`
	// ForAll says that the answer holds for every user of the same class (Class of the user), so
	// that it may be kept per room instead of per user.
	ForAll bool `json:"for_all,omitempty"`
	// Version is the version of the room's access that was decided at: an event of the lobby with a higher one ends
	// what was granted.
	Version int64 `json:"version,omitempty"`
	// Lobby is the seq of rooms' lobby that the answer was decided at or before: if a later event on
	// the room has been handled meanwhile, ask again.
	Lobby chat.Seq `json:"lobby"`
}

// AccessResponse has one answer per question, in order.
type AccessResponse struct {
	Answers []Access `json:"answers"`
}

// Class is what access by room flags depends on: "staff", "user" or "guest".
func Class(u chat.User) string {
	switch {
	case u.Staff:
		return "staff"
	case u.Kind == chat.KindGuest:
		return "guest"
	default:
		return "user"
	}
}

// Entry is one entry of a room's log, ready to go out. It is also the envelope of the room's Redis Stream.
type Entry struct {
	Seq  chat.Seq `json:"seq"`
	Kind string   `json:"kind"` // "message", "edited", "deleted", "notice" or one yet to come
	// Message is the id of the message that the entry is about, 0 for none.
	Message chat.Seq `json:"message,omitempty"`
	// Event is the frame that clients get, a JSON object with type, room and seq. Replayed entries
	// show their message as it is now.
	Event json.RawMessage `json:"event"`
	// State is the message as it is now, where Kind is "edited" or "deleted": the edge folds it into
	// what it keeps of the message, without understanding either.
	State json.RawMessage `json:"state,omitempty"`
	// AtMS is when the entry was written, in Unix milliseconds: what delivery times are measured from.
	AtMS int64 `json:"at_ms,omitempty"`
	// Traceparent is the span that the entry came from, for the few that are traced; never of what is read
	// from the log.
	Traceparent string `json:"traceparent,omitempty"`
}

// TailRequest asks for the newest entries of a room, Limit and Bytes at most.
type TailRequest struct {
	Room  chat.RoomID `json:"room"`
	Limit int         `json:"limit"`
	Bytes int         `json:"bytes"`
}

// EntriesRequest asks for the entries After a seq, oldest first, Limit and Bytes at most (but at least one).
type EntriesRequest struct {
	Room  chat.RoomID `json:"room"`
	After chat.Seq    `json:"after"`
	Limit int         `json:"limit"`
	Bytes int         `json:"bytes"`
}

// Range answers TailRequest and EntriesRequest: a contiguous run, oldest first, with the log's ends.
// A missing or deleted room is chat.CodeNotFound.
type Range struct {
	Log     chat.LogID `json:"log"`
	Head    chat.Seq   `json:"head"`
	Floor   chat.Seq   `json:"floor"`
	Entries []Entry    `json:"entries"`
}

// HistoryRequest asks for messages in current state, newest first, with ids below Before (0: from the head).
type HistoryRequest struct {
	Room   chat.RoomID `json:"room"`
	Before chat.Seq    `json:"before,omitempty"`
	Limit  int         `json:"limit"`
}

// History answers HistoryRequest.
type History struct {
	Messages []json.RawMessage `json:"messages"`
	HasMore  bool              `json:"has_more"`
}

// Head is how far a room's log reached, AgeMS milliseconds after its newest entry was written.
type Head struct {
	Room  chat.RoomID `json:"room"`
	Head  chat.Seq    `json:"head"`
	AgeMS int64       `json:"age_ms"`
}

// Heads are the rooms changed in the last 30 seconds, served from memory. The request has no fields.
type Heads struct {
	Heads []Head `json:"heads"`
}

// FromError carries err over the border.
func FromError(err error) *Error {
	if err == nil {
		return nil
	}
	e := chat.Public(err)
	return &Error{Code: e.Code, Message: e.Message, RetryAfterMS: e.RetryAfter.Milliseconds(), Details: e.Details}
}

// Err returns e as a chat.Error, nil for nil.
func (e *Error) Err() error {
	if e == nil {
		return nil
	}
	if e.Code == "" {
		return chat.Errorf(chat.CodeInternal, "an error without a code")
	}
	return &chat.Error{Code: e.Code, Message: e.Message, RetryAfter: chat.RetryAfter(e.RetryAfterMS), Details: e.Details}
}
