// Package lobby carries what happens outside rooms' logs: rooms created, updated and deleted,
// sessions ended, users' generations raised. There are two lobbies, auth's and rooms', each a log
// like a room's: rows with holeless seqs written in the transaction of the change they tell of,
// announced on a shared Redis stream, filled by range, its head asked for once a second. So a Redis
// that forgets everything loses no revocation.
package lobby

import (
	"time"

	"github.com/parley-chat/parley/pkg/chat"
)

// Kind is what an event tells of. Readers pass over kinds that they do not know.
type Kind string

// The kinds of events: the first two on auth's lobby, the others on rooms'.
const (
	SessionEnded     Kind = "session_ended"
	GenerationRaised Kind = "generation_raised"
	RoomCreated      Kind = "room_created"
	RoomUpdated      Kind = "room_updated"
	RoomDeleted      Kind = "room_deleted"
)

// Event is one entry of a lobby.
type Event struct {
	Seq    chat.Seq      `json:"seq"`
	Kind   Kind          `json:"kind"`
	Tenant chat.TenantID `json:"tenant"`
	At     chat.Time     `json:"at"`

	// Of auth's: whose session ended, or whose tokens below Generation are void.
	User       chat.UserID    `json:"user,omitempty"`
	Session    chat.SessionID `json:"session,omitempty"`
	Generation int64          `json:"generation,omitempty"`

	// Of rooms': the room as it is after the change (before it, for RoomDeleted), and as it was before
	// an update, since who could see it then must learn what became of it.
	RoomID chat.RoomID `json:"room_id,omitempty"`
	Room   *chat.Room  `json:"room,omitempty"`
	Before *chat.Room  `json:"before,omitempty"`

	// Of rooms' too: who may know of the room after the change and who might before it, read by After and Former,
	// and the version of the room's access. A version that is higher than that of a grant ends the grant.
	Audience       *Audience `json:"audience,omitempty"`
	FormerAudience *Audience `json:"former_audience,omitempty"`
	AccessVersion  int64     `json:"access_version,omitempty"`
}

// Page is a contiguous run of a lobby, oldest first, with the log's name and ends.
type Page struct {
	Log    chat.LogID `json:"log"`
	Head   chat.Seq   `json:"head"`
	Events []Event    `json:"events"`
}

// PathEvents is the internal path that serves a lobby: POST EventsRequest, answered with a Page.
const PathEvents = "/internal/lobby"

// EventsRequest asks for what came After a seq, Limit at most; Limit 0 asks for log and head alone.
// With MaxAgeMS (and After 0) it starts at the first event of that age, for whoever starts anew.
type EventsRequest struct {
	After    chat.Seq `json:"after"`
	Limit    int      `json:"limit"`
	MaxAgeMS int64    `json:"max_age_ms,omitempty"`
}

// longestAge bounds MaxAgeMS: more is the same as all.
const longestAge = 365 * 24 * time.Hour

// Since checks r and returns from when on events are asked for, zero for no matter how old:
// chat.CodeBadRequest for what no follower asks.
func (r EventsRequest) Since(now time.Time) (since time.Time, err error) {
	if r.After < 0 || r.After > chat.MaxSeq || r.Limit < 0 || r.MaxAgeMS < 0 {
		return since, chat.Errorf(chat.CodeBadRequest, "a part of a lobby has no negative bounds")
	}
	if r.MaxAgeMS > 0 && r.After == 0 {
		since = now.Add(-time.Duration(min(r.MaxAgeMS, longestAge.Milliseconds())) * time.Millisecond)
	}
	return since, nil
}
