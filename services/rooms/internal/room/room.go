// Package directory keeps the rooms themselves: made, found, listed, changed and deleted, each change
// announced in the lobby by the transaction that makes it. A room that the caller may not know of is
// answered exactly as none.
package room

import (
	"context"
	"crypto/rand"
	"log/slog"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/metric"
	"github.com/parley-chat/parley/services/rooms/internal/message"
	"github.com/parley-chat/parley/services/rooms/internal/policy"
)

// Deps are what a directory works with.
type Deps struct {
	Store    Store
	Messages *message.Log
	Rules    policy.Rules
	Log      *slog.Logger
	Registry prometheus.Registerer
}

// Directory is safe for concurrent use.
type Directory struct {
	store     Store
	messages  *message.Log
	rules     policy.Rules
	log       *slog.Logger
	questions *prometheus.CounterVec
}

// New makes a room.
func New(d Deps) *Directory {
	return &Directory{
		store: d.Store, messages: d.Messages, rules: d.Rules, log: d.Log,
		questions: metric.Counters(d.Registry, "parley_rooms_access_questions_total", "Questions of edges who may enter a room, by how they were answered.", "result",
			"ok", string(chat.CodeNotFound), string(chat.CodeUnauthenticated)),
	}
}

// Caller is who calls: User is nil for nobody signed in.
type Caller struct {
	Tenant chat.TenantID
	User   *chat.User
}

// Draft is what a room is made of.
type Draft struct {
	Slug        chat.Slug
	Name        string
	Description string
	StaffOnly   bool
	AllowGuests bool
}

// Patch changes what is not nil.
type Patch struct {
	Name        *string
	Description *string
	StaffOnly   *bool
	AllowGuests *bool
}

// NewLog makes the opaque name of a log.
func NewLog() chat.LogID { return chat.LogID(rand.Text()) }

// Find returns a room that the caller may know of.
func (d *Directory) Find(ctx context.Context, caller Caller, slug chat.Slug) (message.Room, error) {
	room, err := d.Lookup(ctx, caller.Tenant, slug)
	if err != nil {
		return message.Room{}, err
	}
	return room, policy.Know(room.Room, caller.User)
}

// Lookup returns a room whoever asks: for appends, which are decided under the room's lock.
func (d *Directory) Lookup(ctx context.Context, tenant chat.TenantID, slug chat.Slug) (message.Room, error) {
	if !slug.Valid() {
		return message.Room{}, policy.NoRoom()
	}
	key := message.SlugKey{Tenant: tenant, Slug: slug}
	found, _, err := d.store.Rooms(ctx, []message.SlugKey{key})
	if err != nil {
		return message.Room{}, err
	}
	room, ok := found[key]
	if !ok {
		return message.Room{}, policy.NoRoom()
	}
	return room, nil
}

// Create makes a room, which belongs to the caller. A slug that was ever given out is chat.CodeConflict.
func (d *Directory) Create(ctx context.Context, caller Caller, draft Draft) (message.Room, error) {
	if err := d.rules.Create(caller.User, draft.StaffOnly); err != nil {
		return message.Room{}, err
	}
	if err := draft.check(); err != nil {
		return message.Room{}, err
	}
	created, err := d.create(ctx, caller.Tenant, caller.User.ID, draft)
	if err != nil {
		return message.Room{}, err
	}
	d.log.InfoContext(ctx, "room created", slog.Int64("room_id", int64(created[0].ID)), slog.String("user_id", string(caller.User.ID)))
	return created[0], nil
}

// create makes rooms, all or none of them.
func (d *Directory) create(ctx context.Context, tenant chat.TenantID, owner chat.UserID, drafts ...Draft) ([]message.Room, error) {
	need := message.Need{Lobby: true, NewRooms: len(drafts)}
	for _, draft := range drafts {
		need.Slugs = append(need.Slugs, message.SlugKey{Tenant: tenant, Slug: draft.Slug})
	}
	var created []message.Room
	err := d.messages.Transact(ctx, need, func(tx *message.Transaction) error {
		for i, draft := range drafts {
			if tx.Taken(need.Slugs[i]) {
				return chat.Errorf(chat.CodeConflict, "the slug %q was given out before", draft.Slug)
			}
			created = append(created, tx.Create(message.Room{Tenant: tenant, Owner: owner, Room: chat.Room{
				Slug: draft.Slug, Name: draft.Name, Description: draft.Description,
				StaffOnly: draft.StaffOnly, AllowGuests: draft.AllowGuests, Log: NewLog(), Floor: 1,
			}}))
		}
		return nil
	})
	return created, err
}

func (d Draft) check() error {
	if !d.Slug.Valid() {
		return chat.Errorf(chat.CodeBadRequest, "a slug has 1 to 63 of a-z, 0-9 and -, and starts with a letter or digit")
	}
	if err := chat.CheckName("room name", d.Name, chat.MaxRoomName); err != nil {
		return err
	}
	if err := checkDescription(d.Description); err != nil {
		return err
	}
	return policy.Flags(d.StaffOnly, d.AllowGuests)
}

// checkDescription takes what CheckName takes, and besides nothing at all, and lines.
func checkDescription(text string) error {
	flat := strings.Map(func(r rune) rune {
		if r == '\n' || r == '\r' || r == '\t' {
			return ' '
		}
		return r
	}, text)
	if strings.TrimSpace(flat) == "" && len(text) <= chat.MaxRoomDescription {
		return nil
	}
	return chat.CheckName("room description", flat, chat.MaxRoomDescription)
}

// Update changes a room's settings. A new name is a notice in its log.
func (d *Directory) Update(ctx context.Context, caller Caller, slug chat.Slug, patch Patch) (message.Room, error) {
	if err := patch.check(); err != nil {
		return message.Room{}, err
	}
	var updated message.Room
	err := d.manage(ctx, caller, slug, func(tx *message.Transaction, room message.Room) error {
		updated = patch.apply(room)
		if updated == room {
			return nil
		}
		if err := policy.Flags(updated.StaffOnly, updated.AllowGuests); err != nil {
			return err
		}
		if updated.StaffOnly && !room.StaffOnly {
			if err := d.rules.Create(caller.User, true); err != nil {
				return err
			}
		}
		if updated.Name != room.Name {
			tx.Notice(room, "The room is now called “"+updated.Name+"”.")
			updated.Head++
		}
		updated = tx.Update(updated)
		return nil
	})
	if err != nil {
		return message.Room{}, err
	}
	return updated, nil
}

// Delete ends a room for good.
func (d *Directory) Delete(ctx context.Context, caller Caller, slug chat.Slug) error {
	err := d.manage(ctx, caller, slug, func(tx *message.Transaction, room message.Room) error {
		tx.Delete(room)
		return nil
	})
	if err == nil {
		d.log.InfoContext(ctx, "room deleted", slog.String("user_id", string(caller.User.ID)))
	}
	return err
}

// manage runs change on a room, locked, that the caller may know of and manage.
func (d *Directory) manage(ctx context.Context, caller Caller, slug chat.Slug, change func(*message.Transaction, message.Room) error) error {
	if err := policy.SignedIn(caller.User); err != nil {
		return err
	}
	found, err := d.Find(ctx, caller, slug)
	if err != nil {
		return err
	}
	need := message.Need{Rooms: []chat.RoomID{found.ID}, Lobby: true}
	return d.messages.Transact(ctx, need, func(tx *message.Transaction) error {
		room, ok := tx.Room(found.ID)
		if !ok {
			return policy.NoRoom()
		}
		if err := policy.Know(room.Room, caller.User); err != nil {
			return err
		}
		if err := d.rules.Manage(caller.User, room.Owner); err != nil {
			return err
		}
		return change(tx, room)
	})
}

func (p Patch) check() error {
	if p.Name != nil {
		if err := chat.CheckName("room name", *p.Name, chat.MaxRoomName); err != nil {
			return err
		}
	}
	if p.Description != nil {
		return checkDescription(*p.Description)
	}
	return nil
}

func (p Patch) apply(room message.Room) message.Room {
	if p.Name != nil {
		room.Name = *p.Name
	}
	if p.Description != nil {
		room.Description = *p.Description
	}
	if p.StaffOnly != nil {
		room.StaffOnly = *p.StaffOnly
	}
	if p.AllowGuests != nil {
		room.AllowGuests = *p.AllowGuests
	}
	return room
}
