// Package chat holds the words of Parley: identifiers, rooms, messages, users, limits and the one
// error type. It knows no transport and no storage.
package chat

import (
	"regexp"
	"strings"
	"time"
	"unicode/utf8"
)

// TenantID names the organisation that a row, key or token belongs to.
type TenantID string

// DefaultTenant is the only tenant for now; everything carries it from the first migration on.
const DefaultTenant TenantID = "default"

// UserID is the opaque name of an account or guest, unique across tenants.
type UserID string

// SessionID is the opaque name of one sign-in; its tokens and sockets end with it.
type SessionID string

// RoomID is the storage's number of a room. It never leaves the services; clients know the Slug.
type RoomID int64

// LogID is the opaque name of a room's log. A log restored from a backup gets a new one.
type LogID string

// Slug addresses a room everywhere outside, [a-z0-9][a-z0-9-]{0,62}; it is never given out again.
type Slug string

// Seq numbers the entries of a log from 1 without holes.
type Seq int64

// UserKind tells accounts from guests.
type UserKind string

// The kinds of users.
const (
	KindUser  UserKind = "user"
	KindGuest UserKind = "guest"
)

// User is somebody signed in, as others and the user itself may see it.
type User struct {
	ID    UserID   `json:"id"`
	Name  string   `json:"name"`
	Kind  UserKind `json:"kind"`
	Staff bool     `json:"staff"`
}

// Author is what a message keeps of the user who wrote it.
type Author struct {
	ID   UserID   `json:"id"`
	Name string   `json:"name"`
	Kind UserKind `json:"kind"`
}

// Author returns u as messages carry it.
func (u User) Author() Author { return Author{ID: u.ID, Name: u.Name, Kind: u.Kind} }

// Room is a room as clients see it.
type Room struct {
	Slug        Slug   `json:"slug"`
	Name        string `json:"name"`
	Description string `json:"description"`
	StaffOnly   bool   `json:"staff_only"`
	AllowGuests bool   `json:"allow_guests"`
	Private     bool   `json:"private"`
	Log         LogID  `json:"log"`
	Head        Seq    `json:"head"`
	Floor       Seq    `json:"floor"`
	CreatedAt   Time   `json:"created_at"`
}

// VisibleTo says whether u (nil: nobody signed in) may know of the room and read it.
func (r Room) VisibleTo(u *User) bool {
	switch {
	case u != nil && u.Staff:
		return true
	case r.StaffOnly, r.Private:
		return false
	case u == nil || u.Kind == KindGuest:
		return r.AllowGuests
	default:
		return true
	}
}

// Message is a message in its current state. A deleted one keeps id and author and loses its body.
type Message struct {
	ID       Seq    `json:"id"`
	Author   Author `json:"author"`
	Body     string `json:"body"`
	SentAt   Time   `json:"sent_at"`
	Nonce    string `json:"nonce,omitempty"`
	ReplyTo  Seq    `json:"reply_to,omitempty"`
	EditedAt *Time  `json:"edited_at,omitempty"`
	Deleted  bool   `json:"deleted,omitempty"`
}

// Limits of what a stranger may send.
const (
	MaxBodyBytes       = 16 << 10
	MaxNonceBytes      = 64
	MaxRoomName        = 100       // runes
	MaxRoomDescription = 1000      // runes
	MaxUserName        = 40        // runes
	MaxSeq             = 1<<53 - 1 // of a Seq
)

var slugPattern = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)

// Valid says whether s has the form of a slug.
func (s Slug) Valid() bool { return slugPattern.MatchString(string(s)) }

// CheckNonce refuses a nonce that is missing, too long or not clean text.
func CheckNonce(nonce string) error {
	if nonce == "" || len(nonce) > MaxNonceBytes || !utf8.ValidString(nonce) || strings.ContainsRune(nonce, 0) {
		return Errorf(CodeBadRequest, "a nonce has 1 to %d bytes of text", MaxNonceBytes)
	}
	return nil
}

// Time is a moment as the wire shows it: RFC 3339 UTC with milliseconds.
type Time struct{ time.Time }

const timeLayout = "2006-01-02T15:04:05.000Z"

// At cuts t to what the wire carries.
func At(t time.Time) Time { return Time{t.UTC().Truncate(time.Millisecond)} }

// MarshalJSON writes t as the wire shows it.
func (t Time) MarshalJSON() ([]byte, error) {
	return t.UTC().AppendFormat(make([]byte, 0, len(timeLayout)+2), `"`+timeLayout+`"`), nil
}
