// Package chat defines Parley's domain types: identifiers, rooms, messages, users, limits and the one
// error type. It depends on no transport and no storage.
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

// UserID is the opaque id of an account or guest, unique across tenants.
type UserID string

// SessionID is the opaque id of one sign-in. Its tokens and sockets end when the session ends.
type SessionID string

// RoomID is a room's primary key in the database. It never leaves the services; clients use the Slug.
type RoomID int64

// LogID is the opaque id of a room's log. A log restored from a backup gets a new one.
type LogID string

// Slug is a room's public name, [a-z0-9][a-z0-9-]{0,62}. The slug of a deleted room is never reused.
type Slug string

// Seq is the number of an entry in a log. Numbers start at 1 and have no gaps.
type Seq int64

// UserKind distinguishes accounts from guests.
type UserKind string

// The kinds of users.
const (
	KindUser  UserKind = "user"
	KindGuest UserKind = "guest"
)

// User is the public view of a signed-in user.
type User struct {
	ID    UserID   `json:"id"`
	Name  string   `json:"name"`
	Kind  UserKind `json:"kind"`
	Staff bool     `json:"staff"`
}

// Author is the part of a user that is stored with a message.
type Author struct {
	ID   UserID   `json:"id"`
	Name string   `json:"name"`
	Kind UserKind `json:"kind"`
}

// Author returns u as the author of a message.
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

// Message is a message in its current state. A deleted message keeps its id and author but not its body.
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

// Limits of client input.
const (
	MaxBodyBytes       = 16 << 10
	MaxNonceBytes      = 64
	MaxRoomName        = 100       // runes
	MaxRoomDescription = 1000      // runes
	MaxUserName        = 40        // runes
	MaxSeq             = 1<<53 - 1 // of a Seq
)

var slugPattern = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)

// Valid reports whether s has the form of a slug.
func (s Slug) Valid() bool { return slugPattern.MatchString(string(s)) }

// CheckNonce returns an error for a nonce that is empty, too long, not UTF-8 or contains NUL.
func CheckNonce(nonce string) error {
	if nonce == "" || len(nonce) > MaxNonceBytes || !utf8.ValidString(nonce) || strings.ContainsRune(nonce, 0) {
		return Errorf(CodeBadRequest, "the nonce must be 1 to %d bytes of UTF-8 text without NUL", MaxNonceBytes)
	}
	return nil
}

// Time is an instant in the wire format: RFC 3339, UTC, milliseconds.
type Time struct{ time.Time }

const timeLayout = "2006-01-02T15:04:05.000Z"

// At converts t to UTC and truncates it to milliseconds.
func At(t time.Time) Time { return Time{t.UTC().Truncate(time.Millisecond)} }

// MarshalJSON writes t in the wire format.
func (t Time) MarshalJSON() ([]byte, error) {
	return t.UTC().AppendFormat(make([]byte, 0, len(timeLayout)+2), `"`+timeLayout+`"`), nil
}
