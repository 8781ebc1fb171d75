// Package room keeps the directory of rooms: it makes, finds, lists, changes and deletes them, and each change is
// announced in the lobby by the transaction that makes it. A room that the caller may not know of is
// answered exactly as none.
package room

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/parley-chat/parley/pkg/audit"
	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/metric"
	"github.com/parley-chat/parley/services/rooms/internal/access"
	"github.com/parley-chat/parley/services/rooms/internal/message"
)

// Deps are what a directory works with.
type Deps struct {
	Finder   Finder
	Store    Store
	Members  Members
	Messages *message.Log
	Rules    access.Rules
	Log      *slog.Logger
	Registry prometheus.Registerer
}

// Directory is safe for concurrent use.
type Directory struct {
	finder    Finder
	store     Store
	members   Members
	messages  *message.Log
	rules     access.Rules
	log       *slog.Logger
	questions *prometheus.CounterVec
}

// New makes a room.
func New(d Deps) *Directory {
	return &Directory{
		finder: d.Finder, store: d.Store, members: d.Members, messages: d.Messages, rules: d.Rules, log: d.Log,
		questions: metric.Counters(d.Registry, "parley_rooms_access_questions_total", "Questions of edges who may enter a room, by how they were answered.", "result",
			"ok", string(chat.CodeNotFound), string(chat.CodeUnauthenticated)),
	}
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
func (d *Directory) Find(ctx context.Context, caller access.Subject, slug chat.Slug) (message.Room, error) {
	return d.find(ctx, caller, access.Know, slug)
}

// FindToRead returns a room that the caller may read.
func (d *Directory) FindToRead(ctx context.Context, caller access.Subject, slug chat.Slug) (message.Room, error) {
	return d.find(ctx, caller, access.Read, slug)
}

func (d *Directory) find(ctx context.Context, caller access.Subject, action access.Action, slug chat.Slug) (message.Room, error) {
	room, err := d.lookup(ctx, caller.Tenant, slug)
	if err != nil {
		return message.Room{}, err
	}
	decision, err := d.decide(ctx, caller, action, room)
	if err == nil {
		err = decision.Err
	}
	return room, err
}

// Lookup returns a room whoever asks, and whether the caller may know of it: for appends, which are decided on later.
func (d *Directory) Lookup(ctx context.Context, caller access.Subject, slug chat.Slug) (room message.Room, knows bool, err error) {
	room, err = d.lookup(ctx, caller.Tenant, slug)
	if err != nil {
		return room, false, err
	}
	decision, err := d.decide(ctx, caller, access.Know, room)
	return room, decision.Err == nil, err
}

func (d *Directory) lookup(ctx context.Context, tenant chat.TenantID, slug chat.Slug) (message.Room, error) {
	if !slug.Valid() {
		return message.Room{}, access.NoRoom()
	}
	key := message.SlugKey{Tenant: tenant, Slug: slug}
	found, _, err := d.finder.Rooms(ctx, []message.SlugKey{key})
	if err != nil {
		return message.Room{}, err
	}
	room, ok := found[key]
	if !ok {
		return message.Room{}, access.NoRoom()
	}
	return room, nil
}

// decide decides on a room as it was read. Only of a private one it looks up whether the caller is a member.
func (d *Directory) decide(ctx context.Context, caller access.Subject, action access.Action, room message.Room) (access.Decision, error) {
	var m access.Membership
	if room.Private && caller.User != nil {
		key := access.MemberKey{Room: room.ID, User: caller.User.ID}
		roles, err := d.members.Roles(ctx, []access.MemberKey{key})
		if err != nil {
			return access.Decision{}, err
		}
		m = roles[key]
	}
	return d.rules.Decide(caller, action, room.Access(), m), nil
}

// Create makes a room, which belongs to the caller. A slug that was ever given out is chat.CodeConflict.
func (d *Directory) Create(ctx context.Context, caller access.Subject, draft Draft) (message.Room, error) {
	if err := d.rules.Decide(caller, access.Create, access.Room{Settings: draft.settings()}, access.Membership{}).Err; err != nil {
		return message.Room{}, err
	}
	if err := draft.check(); err != nil {
		return message.Room{}, err
	}
	created, err := d.create(ctx, caller, draft)
	if err != nil {
		return message.Room{}, err
	}
	return created[0], nil
}

// create makes rooms, all or none of them.
func (d *Directory) create(ctx context.Context, caller access.Subject, drafts ...Draft) ([]message.Room, error) {
	need := message.Need{Lobby: true, NewRooms: len(drafts)}
	for _, draft := range drafts {
		need.Slugs = append(need.Slugs, message.SlugKey{Tenant: caller.Tenant, Slug: draft.Slug})
	}
	var owner chat.UserID
	if caller.User != nil {
		owner = caller.User.ID
	}
	var created []message.Room
	err := d.messages.Transact(ctx, need, func(tx *message.Transaction) error {
		for i, draft := range drafts {
			if tx.Taken(need.Slugs[i]) {
				return chat.Errorf(chat.CodeConflict, "the slug %q was given out before", draft.Slug)
			}
			created = append(created, tx.Create(message.Room{Tenant: caller.Tenant, Owner: owner, Room: chat.Room{
				Slug: draft.Slug, Name: draft.Name, Description: draft.Description,
				StaffOnly: draft.StaffOnly, AllowGuests: draft.AllowGuests, Log: NewLog(), Floor: 1,
			}}))
			tx.Audit(caller.Act(tx.Now(), audit.RoomCreated, draft.Slug, "", nil))
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
	return d.settings().Check()
}

func (d Draft) settings() access.Settings {
	return access.Settings{StaffOnly: d.StaffOnly, AllowGuests: d.AllowGuests}
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
func (d *Directory) Update(ctx context.Context, caller access.Subject, slug chat.Slug, patch Patch) (message.Room, error) {
	if err := patch.check(); err != nil {
		return message.Room{}, err
	}
	var updated message.Room
	err := d.manage(ctx, caller, slug, func(tx *message.Transaction, room message.Room) error {
		updated = patch.apply(room)
		if updated == room {
			return nil
		}
		if err := updated.Access().Check(); err != nil {
			return err
		}
		if updated.StaffOnly && !room.StaffOnly {
			if err := d.rules.Decide(caller, access.Create, updated.Access(), access.Membership{}).Err; err != nil {
				return err
			}
		}
		if updated.Name != room.Name {
			tx.Notice(room, "The room is now called “"+updated.Name+"”.")
			updated.Head++
		}
		tx.Audit(caller.Act(tx.Now(), audit.RoomChanged, slug, "", changed(room, updated)))
		updated = tx.Update(updated)
		return nil
	})
	if err != nil {
		return message.Room{}, err
	}
	return updated, nil
}

// changed says which settings of a room are others now: the ones of access with what they are.
func changed(before, after message.Room) map[string]any {
	details := map[string]any{}
	if after.Name != before.Name {
		details["name"] = true
	}
	if after.Description != before.Description {
		details["description"] = true
	}
	if after.StaffOnly != before.StaffOnly {
		details["staff_only"] = after.StaffOnly
	}
	if after.AllowGuests != before.AllowGuests {
		details["allow_guests"] = after.AllowGuests
	}
	return details
}

// Delete ends a room for good.
func (d *Directory) Delete(ctx context.Context, caller access.Subject, slug chat.Slug) error {
	return d.manage(ctx, caller, slug, func(tx *message.Transaction, room message.Room) error {
		tx.Audit(caller.Act(tx.Now(), audit.RoomDeleted, slug, "", nil))
		tx.Delete(room)
		return nil
	})
}

// maxDecisions bounds how often a change is decided on while others change who may manage the room.
const maxDecisions = 5

var (
	errOtherRoom = errors.New("the room's access is another than the one decided on")
	errContended = chat.Errorf(chat.CodeUnavailable, "the room is being changed by others: try again")
)

// manage runs change on a room, locked, that the caller may manage. That is decided before the lock; under it only
// the room is compared with the one that was decided on.
func (d *Directory) manage(ctx context.Context, caller access.Subject, slug chat.Slug, change func(*message.Transaction, message.Room) error) error {
	if err := access.SignedIn(caller.User); err != nil {
		return err
	}
	for range maxDecisions {
		found, err := d.find(ctx, caller, access.Manage, slug)
		if err != nil {
			return err
		}
		need := message.Need{Rooms: []chat.RoomID{found.ID}, Lobby: true}
		err = d.messages.Transact(ctx, need, func(tx *message.Transaction) error {
			room, ok := tx.Room(found.ID)
			switch {
			case !ok:
				return access.NoRoom()
			case room.Access() != found.Access():
				return errOtherRoom
			}
			return change(tx, room)
		})
		if !errors.Is(err, errOtherRoom) {
			return err
		}
	}
	return errContended
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
