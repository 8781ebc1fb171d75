package message

import (
	"slices"

	"github.com/parley-chat/parley/pkg/audit"
	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/lobby"
	"github.com/parley-chat/parley/pkg/operation"
	"github.com/parley-chat/parley/pkg/roomsapi"
)

// Transaction is one transaction being decided: what is on record, under lock, with what has been decided so
// far already worked in. So the second entry of a batch sees the first.
type Transaction struct {
	have    Have
	now     chat.Time
	changes Changes
	touched map[Key]*Entry // rows that this transaction adds or changes
	heads   map[chat.RoomID]chat.Seq
	traces  map[*Entry]string    // of the few that are traced
	drops   map[chat.RoomID]bool // rooms whose streams hold what was deleted
}

func open(have Have, now chat.Time) *Transaction {
	tx := &Transaction{have: have, now: now, touched: make(map[Key]*Entry), heads: make(map[chat.RoomID]chat.Seq)}
	for id, room := range have.Rooms {
		tx.heads[id] = room.Head
	}
	tx.changes.Nonces = make(map[NonceKey]UsedNonce)
	return tx
}

// Room returns a room that is locked, false if there is none or it was deleted.
func (tx *Transaction) Room(id chat.RoomID) (Room, bool) {
	room, ok := tx.have.Rooms[id]
	return room, ok && !room.Deleted()
}

// Taken says whether a slug was ever given out.
func (tx *Transaction) Taken(key SlugKey) bool { return tx.have.Taken[key] }

// Notice appends the service's own word to a room's log.
func (tx *Transaction) Notice(room Room, text string) {
	tx.append(room, Entry{Kind: KindNotice, Body: text}, "")
}

// Create makes a room under an id reserved for it, and announces it.
func (tx *Transaction) Create(room Room) Room {
	room.ID, tx.have.NewRooms = tx.have.NewRooms[0], tx.have.NewRooms[1:]
	room.CreatedAt, room.UpdatedAt, room.AccessVersion = tx.now, tx.now, 1
	tx.changes.Created = append(tx.changes.Created, room)
	tx.announce(lobby.RoomCreated, room, nil)
	return room
}

// Update writes a room's settings, and announces it with what was before.
func (tx *Transaction) Update(after Room) Room {
	before := tx.have.Rooms[after.ID]
	after.UpdatedAt = tx.now
	if after.Access() != before.Access() {
		after.AccessVersion++
	}
	tx.changes.Updated = append(tx.changes.Updated, after)
	tx.announce(lobby.RoomUpdated, after, &before)
	return after
}

// Delete ends a room for good.
func (tx *Transaction) Delete(room Room) {
	before := room
	room.UpdatedAt, room.DeletedAt = tx.now, tx.now
	room.AccessVersion++
	tx.changes.Updated = append(tx.changes.Updated, room)
	tx.announce(lobby.RoomDeleted, room, &before)
}

func (tx *Transaction) announce(kind lobby.Kind, room Room, before *Room) {
	tx.have.LobbyHead++
	tx.changes.Lobby = append(tx.changes.Lobby, Event(kind, tx.have.LobbyHead, tx.now, room, before, tx.have.Members[room.ID], tx.have.Members[room.ID]))
}

// Now is the time of all that the transaction writes.
func (tx *Transaction) Now() chat.Time { return tx.now }

// Audit writes the entry of an act that is done in the transaction.
func (tx *Transaction) Audit(entry audit.Entry) { tx.changes.Audit = append(tx.changes.Audit, entry) }

// Event tells of a room in the lobby, and of what was before, nil where there was nothing. Members and former are those of
// a private room, now and before; of more than access.MaxListed it is enough to have some.
func Event(kind lobby.Kind, seq chat.Seq, at chat.Time, room Room, before *Room, members, former []chat.UserID) lobby.Event {
	event := lobby.Event{
		Seq: seq, Kind: kind, Tenant: room.Tenant, At: at, RoomID: room.ID, Room: &room.Room,
		Audience: new(room.Access().Audience(members)), AccessVersion: room.AccessVersion,
	}
	if before != nil {
		event.FormerAudience = new(before.Access().Audience(former))
		if kind == lobby.RoomUpdated {
			event.Before = &before.Room
		}
	}
	return event
}

// append numbers a row: the next seq of its room, which nobody else can take while the room is locked. Traced is
// the span that it comes from, "" for none.
func (tx *Transaction) append(room Room, row Entry, traced string) *Entry {
	tx.heads[room.ID]++
	row.Room, row.Tenant, row.Seq, row.At = room.ID, room.Tenant, tx.heads[room.ID], tx.now
	if row.Kind == operation.EntryMessage {
		row.Message = row.Seq
	}
	tx.changes.Entries = append(tx.changes.Entries, &row)
	tx.touched[Key{room.ID, row.Seq}] = &row
	if traced != "" {
		if tx.traces == nil {
			tx.traces = make(map[*Entry]string)
		}
		tx.traces[&row] = traced
	}
	return &row
}

// message returns the current row of a message to read, nil where there is none or the id names an
// entry of another kind.
func (tx *Transaction) message(room chat.RoomID, id chat.Seq) *Entry {
	row, ok := tx.touched[Key{room, id}]
	if !ok {
		loaded, found := tx.have.Messages[Key{room, id}]
		if !found {
			return nil
		}
		row = &loaded
	}
	if row.Kind != operation.EntryMessage {
		return nil
	}
	return row
}

// change has the row of a message written, if it is not new anyway.
func (tx *Transaction) change(row *Entry) {
	key := Key{row.Room, row.Seq}
	if _, ok := tx.touched[key]; !ok {
		tx.touched[key] = row
		tx.changes.Messages = append(tx.changes.Messages, row)
	}
}

// usedNonce returns what a nonce was used for.
func (tx *Transaction) usedNonce(key NonceKey) (UsedNonce, bool) {
	if s, ok := tx.changes.Nonces[key]; ok {
		return s, true
	}
	s, ok := tx.have.Nonces[key]
	return s, ok
}

// dropStream has the stream of a room forgotten that may hold what was deleted.
func (tx *Transaction) dropStream(room Room) {
	if tx.drops == nil {
		tx.drops = make(map[chat.RoomID]bool)
	}
	tx.drops[room.ID] = true
}

// added is what one room's log gained.
type added struct {
	room    Room
	entries []roomsapi.Entry
}

// added returns what each room's log gained, with each message as it is at the end: one that was
// written and deleted in the same batch never shows its body.
func (tx *Transaction) added() []added {
	var all []added
	for _, row := range tx.changes.Entries {
		i := slices.IndexFunc(all, func(a added) bool { return a.room.ID == row.Room })
		if i < 0 {
			i = len(all)
			all = append(all, added{room: tx.have.Rooms[row.Room]})
		}
		read := ReadEntry{Entry: *row}
		if row.AboutAnother() {
			read.Subject = tx.message(row.Room, row.Message)
		}
		entry := render(all[i].room.Slug, read)
		entry.Traceparent = tx.traces[row]
		all[i].entries = append(all[i].entries, entry)
	}
	return all
}
