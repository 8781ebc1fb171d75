package room

import (
	"context"
	"encoding/base64"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/lobby"
	"github.com/parley-chat/parley/services/rooms/internal/access"
	"github.com/parley-chat/parley/services/rooms/internal/message"
)

// Bounds of a page.
const (
	defaultLimit = 50
	maxLimit     = 100
	maxSearch    = 100 // runes
	maxEvents    = 1000
)

// List returns a page of the rooms that the caller may know of and whose slug, name or description
// contains search, in whatever case and form, and the cursor of the next page, empty on the last one.
func (d *Directory) List(ctx context.Context, caller access.Subject, search, cursor string, limit int) ([]message.Room, string, error) {
	if utf8.RuneCountInString(search) > maxSearch || !utf8.ValidString(search) || strings.ContainsRune(search, 0) {
		return nil, "", chat.Errorf(chat.CodeBadRequest, "a search has %d characters at most", maxSearch)
	}
	after, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil || len(after) > 0 && !chat.Slug(after).Valid() {
		return nil, "", chat.Errorf(chat.CodeBadRequest, "the cursor is none of ours")
	}
	if limit <= 0 {
		limit = defaultLimit
	}
	limit = min(limit, maxLimit)
	var user chat.UserID
	if caller.User != nil {
		user = caller.User.ID
	}
	rooms, err := d.store.Page(ctx, Listing{
		Tenant: caller.Tenant, Listed: d.rules.ListedFor(caller), User: user, Search: chat.Fold(search), Lower: strings.ToLower(search),
		After: chat.Slug(after), Limit: limit + 1,
	})
	if err != nil || len(rooms) <= limit {
		return rooms, "", err
	}
	rooms = rooms[:limit]
	return rooms, base64.RawURLEncoding.EncodeToString([]byte(rooms[limit-1].Slug)), nil
}

// Lobby returns a part of the rooms' lobby.
func (d *Directory) Lobby(ctx context.Context, req lobby.EventsRequest, now time.Time) (lobby.Page, error) {
	since, err := req.Since(now)
	if err != nil {
		return lobby.Page{}, err
	}
	return d.store.Lobby(ctx, req.After, since, min(req.Limit, maxEvents))
}

// FillSearch has rooms found as chat.Fold says that an older release wrote.
func (d *Directory) FillSearch(ctx context.Context) error {
	for {
		if n, err := d.store.FillSearch(ctx); n == 0 || err != nil {
			return err
		}
	}
}

// Seed makes the first two rooms of a store that never had any.
func (d *Directory) Seed(ctx context.Context) error {
	if had, err := d.store.HasRooms(ctx); had || err != nil {
		return err
	}
	_, err := d.create(ctx, access.Subject{Tenant: chat.DefaultTenant},
		Draft{Slug: "general", Name: "General", Description: "For everyone, guests too.", AllowGuests: true},
		Draft{Slug: "staff", Name: "Staff", Description: "For staff only.", StaffOnly: true})
	if chat.CodeOf(err) == chat.CodeConflict {
		return nil // another pod was first
	}
	return err
}

// RenewLogs gives all logs fresh names, so that after a restore from a backup nobody takes a log that
// went back in time for the one that they knew.
func (d *Directory) RenewLogs(ctx context.Context) (rooms int, err error) {
	return d.store.RenewLogs(ctx, NewLog)
}
