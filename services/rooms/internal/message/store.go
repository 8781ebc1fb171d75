package message

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/parley-chat/parley/pkg/audit"
	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/lobby"
	"github.com/parley-chat/parley/pkg/roomsapi"
	"github.com/parley-chat/parley/services/rooms/internal/access"
)

// Store keeps rooms, their logs, their nonces and the lobby. It knows tables and transactions; what
// goes into them is decided here.
type Store interface {
	// Commit runs one transaction: it locks the rooms of need in ascending order, loads what need
	// names as it is once they are locked, has decide choose, writes that and commits. Decide runs at
	// most once; where it returns an error, that is Commit's, and nothing is written. A unique
	// constraint that is violated is an alarm (ErrRefused), never a way to find out.
	//
	// The error is or wraps ErrRefused where the database refused the data, ErrUnknown where the
	// commit may have happened; after any other, nothing is stored.
	Commit(ctx context.Context, need Need, decide func(Have) (Changes, error)) error

	// Read returns a room and the entries of span from its log, both as of one instant. A room that
	// is missing or deleted is access.NoRoom.
	Read(ctx context.Context, room chat.RoomID, span Span) (Room, []ReadEntry, error)

	// Recent returns how far the logs reach that were written to in the time before now, by the
	// store's own clock, the only one that all pods share.
	Recent(ctx context.Context, within time.Duration) ([]roomsapi.Head, error)
}

var (
	// ErrUnknown is wrapped by a commit that may or may not have happened.
	ErrUnknown = errors.New("the outcome of the commit is unknown")
	// ErrRefused is wrapped where the database refused the data and stored nothing.
	ErrRefused = errors.New("the database refused the data")
)

// Room is all that is stored of a room; Head is the seq of its newest entry.
type Room struct {
	chat.Room

	ID        chat.RoomID
	Tenant    chat.TenantID
	Owner     chat.UserID // empty for the rooms of the first start
	UpdatedAt chat.Time
	DeletedAt chat.Time // zero while the room lives
	// AccessVersion is raised by all that changes who may do what in the room, its members among it.
	AccessVersion int64
}

// Access is what decisions on the room depend on.
func (r Room) Access() access.Room {
	return access.Room{
		Settings: access.Settings{StaffOnly: r.StaffOnly, AllowGuests: r.AllowGuests, Private: r.Private},
		Tenant:   r.Tenant, Owner: r.Owner, Deleted: r.Deleted(), Version: r.AccessVersion,
	}
}

// SearchText is what a search of an older release looks through: slug, name and description in lower case.
func (r Room) SearchText() string {
	return strings.ToLower(r.searched())
}

// SearchFolded is what a search looks through: slug, name and description as chat.Fold has them.
func (r Room) SearchFolded() string { return chat.Fold(r.searched()) }

func (r Room) searched() string { return string(r.Slug) + "\n" + r.Name + "\n" + r.Description }

// Deleted says whether the room is gone for good. Its row stays, since its slug does.
func (r Room) Deleted() bool { return !r.DeletedAt.IsZero() }

// KindNotice is the kind of entries that no operation makes: the service's own word.
const KindNotice = "notice"

// Entry is one entry of a log as it is stored. The row of a message always holds its current state: an
// edit changes Body and EditedAt there and adds an entry without a body, a delete empties Body there.
type Entry struct {
	Room      chat.RoomID
	Tenant    chat.TenantID
	Seq       chat.Seq
	Kind      string
	Message   chat.Seq // the message that the entry is about (Seq itself for a new one), 0 for none
	Author    chat.Author
	Body      string // of a message, a notice's text, or the arguments of an operation that has its own
	ReplyTo   chat.Seq
	Nonce     string
	At        chat.Time
	EditedAt  chat.Time // of a message: its last edit
	DeletedBy chat.Seq  // of a message: the entry that deleted it, 0 while it stands
}

// AboutAnother says whether the entry is about the message of another entry, as an edit is.
func (e Entry) AboutAnother() bool { return e.Message != 0 && e.Message != e.Seq }

// ReadEntry is an entry as it is read: Subject is the current row of the message that an edit or delete is about.
type ReadEntry struct {
	Entry

	Subject *Entry
}

// Span is a part of a log: the entries with After < seq < Before (0: to the end), Limit at most, and
// no more than a first one that brings the bodies read so far to Bytes. Newest starts at the
// end and goes backwards. Messages leaves out all other kinds.
type Span struct {
	After, Before    chat.Seq
	Limit, Bytes     int
	Newest, Messages bool
}

// Hash is the first half of a SHA-256.
type Hash [16]byte

// NonceKey is where a nonce is unique.
type NonceKey struct {
	Room   chat.RoomID
	Author chat.UserID
	Nonce  Hash
}

// UsedNonce is what a nonce was used for: the answer it got, and the fingerprint of what was asked.
type UsedNonce struct {
	Tenant      chat.TenantID // when written
	Seq         chat.Seq
	Fingerprint Hash
}

// Key names a message, or at least an entry of a log.
type Key struct {
	Room chat.RoomID
	Seq  chat.Seq
}

// SlugKey is where a slug is unique, also after its room was deleted.
type SlugKey struct {
	Tenant chat.TenantID
	Slug   chat.Slug
}

// Need is what a transaction locks and loads. All of it is known beforehand, so that a store may ask
// for it in one round trip.
type Need struct {
	Rooms    []chat.RoomID // ascending, each once
	Nonces   []NonceKey
	Messages []Key
	Lobby    bool      // lock the lobby, for whoever announces; always after the rooms
	Slugs    []SlugKey // are they taken? Needs Lobby, which all that makes rooms holds
	NewRooms int       // how many ids for new rooms
}

// Have is what was loaded. What does not exist is not in the maps.
type Have struct {
	Rooms     map[chat.RoomID]Room
	Members   map[chat.RoomID][]chat.UserID // of Rooms, where Lobby is locked: those of a private one, one more than access.MaxListed at most
	Nonces    map[NonceKey]UsedNonce
	Messages  map[Key]Entry // entries of any kind
	LobbyLog  chat.LogID
	LobbyHead chat.Seq
	Taken     map[SlugKey]bool
	NewRooms  []chat.RoomID
}

// Changes are what a transaction writes.
type Changes struct {
	Entries  []*Entry // ascending by seq within a room
	Messages []*Entry // rows that exist: Body, EditedAt and DeletedBy changed
	Nonces   map[NonceKey]UsedNonce
	Created  []Room
	Updated  []Room
	Lobby    []lobby.Event
	Audit    []audit.Entry
}

// Empty says whether there is nothing to write.
func (c Changes) Empty() bool {
	return len(c.Entries)+len(c.Messages)+len(c.Nonces)+len(c.Created)+len(c.Updated)+len(c.Lobby)+len(c.Audit) == 0
}

// Newest returns the last entry of each room: the one that tells Recent of the change.
func (c Changes) Newest() map[chat.RoomID]chat.Seq {
	newest := make(map[chat.RoomID]chat.Seq)
	for _, row := range c.Entries {
		newest[row.Room] = row.Seq
	}
	return newest
}
