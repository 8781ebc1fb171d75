package ledger

import (
	"slices"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/lobby"
	"github.com/parley-chat/parley/pkg/roomsapi"
)

// Book is one transaction being decided: what is on record, under lock, with what has been decided so
// far already worked in. So the second entry of a batch sees the first.
type Book struct {
	have    Have
	now     chat.Time
	changes Changes
	fresh   map[MessageKey]*Row // rows that this transaction adds or changes
	heads   map[chat.RoomID]chat.Seq
	traces  map[*Row]string // of the few that are traced
}

func open(have Have, now chat.Time) *Book {
	b := &Book{have: have, now: now, fresh: make(map[MessageKey]*Row), heads: make(map[chat.RoomID]chat.Seq)}
	for id, room := range have.Rooms {
		b.heads[id] = room.Head
	}
	b.changes.Nonces = make(map[NonceKey]Spent)
	return b
}

// Room returns a room that is locked, false if there is none or it was deleted.
func (b *Book) Room(id chat.RoomID) (Room, bool) {
	room, ok := b.have.Rooms[id]
	return room, ok && !room.Deleted()
}

// Taken says whether a slug was ever given out.
func (b *Book) Taken(key SlugKey) bool { return b.have.Taken[key] }

// Notice appends the service's own word to a room's log.
func (b *Book) Notice(room Room, text string) { b.append(room, Row{Kind: KindNotice, Body: text}, "") }

// Create makes a room under an id reserved for it, and announces it.
func (b *Book) Create(room Room) Room {
	room.ID, b.have.NewRooms = b.have.NewRooms[0], b.have.NewRooms[1:]
	room.CreatedAt, room.UpdatedAt = b.now, b.now
	b.changes.Created = append(b.changes.Created, room)
	b.announce(lobby.RoomCreated, room, nil)
	return room
}

// Update writes a room's settings, and announces it with what was before.
func (b *Book) Update(after Room) Room {
	before := b.have.Rooms[after.ID].Room
	after.UpdatedAt = b.now
	b.changes.Updated = append(b.changes.Updated, after)
	b.announce(lobby.RoomUpdated, after, &before)
	return after
}

// Delete ends a room for good.
func (b *Book) Delete(room Room) {
	room.UpdatedAt, room.DeletedAt = b.now, b.now
	b.changes.Updated = append(b.changes.Updated, room)
	b.announce(lobby.RoomDeleted, room, nil)
}

func (b *Book) announce(kind lobby.Kind, room Room, before *chat.Room) {
	b.have.LobbyHead++
	b.changes.Lobby = append(b.changes.Lobby, lobby.Event{
		Seq: b.have.LobbyHead, Kind: kind, Tenant: room.Tenant, At: b.now, RoomID: room.ID, Room: &room.Room, Before: before,
	})
}

// append numbers a row: the next seq of its room, which nobody else can take while the room is locked. Traced is
// the span that it comes from, "" for none.
func (b *Book) append(room Room, row Row, traced string) *Row {
	b.heads[room.ID]++
	row.Room, row.Tenant, row.Seq, row.At = room.ID, room.Tenant, b.heads[room.ID], b.now
	if row.Kind == KindMessage {
		row.Message = row.Seq
	}
	b.changes.Entries = append(b.changes.Entries, &row)
	b.fresh[MessageKey{room.ID, row.Seq}] = &row
	if traced != "" {
		if b.traces == nil {
			b.traces = make(map[*Row]string)
		}
		b.traces[&row] = traced
	}
	return &row
}

// message returns the current row of a message to read, nil where there is none or the id names an
// entry of another kind.
func (b *Book) message(room chat.RoomID, id chat.Seq) *Row {
	row, ok := b.fresh[MessageKey{room, id}]
	if !ok {
		loaded, found := b.have.Messages[MessageKey{room, id}]
		if !found {
			return nil
		}
		row = &loaded
	}
	if row.Kind != KindMessage {
		return nil
	}
	return row
}

// change has the row of a message written, if it is not new anyway.
func (b *Book) change(row *Row) {
	key := MessageKey{row.Room, row.Seq}
	if _, ok := b.fresh[key]; !ok {
		b.fresh[key] = row
		b.changes.Messages = append(b.changes.Messages, row)
	}
}

// spent returns what a nonce was used for.
func (b *Book) spent(key NonceKey) (Spent, bool) {
	if s, ok := b.changes.Nonces[key]; ok {
		return s, true
	}
	s, ok := b.have.Nonces[key]
	return s, ok
}

// logged is what one room's log gained.
type logged struct {
	room    Room
	entries []roomsapi.Entry
	deletes bool // something that was said before is gone
}

// logged returns what each room's log gained, with each message as it is at the end: one that was
// written and deleted in the same batch never shows its body.
func (b *Book) logged() []logged {
	var all []logged
	for _, row := range b.changes.Entries {
		i := slices.IndexFunc(all, func(l logged) bool { return l.room.ID == row.Room })
		if i < 0 {
			i = len(all)
			all = append(all, logged{room: b.have.Rooms[row.Room]})
		}
		item := Item{Row: *row}
		if row.Kind == KindEdited || row.Kind == KindDeleted {
			item.Subject = b.message(row.Room, row.Message)
		}
		entry := render(all[i].room.Slug, item)
		entry.Traceparent = b.traces[row]
		all[i].entries = append(all[i].entries, entry)
		all[i].deletes = all[i].deletes || row.Kind == KindDeleted
	}
	return all
}
