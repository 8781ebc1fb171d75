package storetest

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/operation"
	"github.com/parley-chat/parley/services/rooms/internal/ledger"
)

// model is what a ledger does, written down as plainly as it can be: one room, one entry at a time.
type model struct {
	room     chat.Room
	kinds    []string // of the entries, from seq 1 on
	messages map[chat.Seq]*modelMessage
	nonces   map[string]modelNonce
}

type modelMessage struct {
	author  chat.UserID
	body    string
	deleted chat.Seq
}

type modelNonce struct {
	asked string
	seq   chat.Seq
}

// append returns the outcome as pod.append shows it.
func (m *model) append(e ledger.Entry) string {
	key, asked := fmt.Sprint(e.Author.ID, "/", e.Nonce), fmt.Sprint(e.Kind, e.ReplyTo, e.Message, e.Body)
	if known, ok := m.nonces[key]; ok && e.Nonce != "" {
		if known.asked != asked {
			return "conflict"
		}
		return fmt.Sprint(known.seq)
	}
	seq, refusal := m.apply(e)
	if refusal != "" {
		return refusal
	}
	m.nonces[key] = modelNonce{asked, seq}
	return fmt.Sprint(seq)
}

func (m *model) apply(e ledger.Entry) (chat.Seq, string) {
	next := chat.Seq(len(m.kinds)) + 1
	target := m.messages[max(e.Message, e.ReplyTo)]
	switch {
	case !m.room.VisibleTo(&e.Author):
		return 0, "not_found"
	case target == nil && (e.Message != 0 || e.ReplyTo != 0):
		return 0, "not_found"
	case e.Kind == operation.NameSend:
		m.messages[next] = &modelMessage{author: e.Author.ID, body: e.Body}
		m.kinds = append(m.kinds, "message")
	case e.Kind == operation.NameEdit && target.deleted != 0:
		return 0, "not_found"
	case target.author != e.Author.ID && (e.Kind == operation.NameEdit || !e.Author.Staff):
		return 0, "forbidden"
	case e.Kind == operation.NameEdit:
		target.body = e.Body
		m.kinds = append(m.kinds, "edited")
	case target.deleted != 0:
		return target.deleted, ""
	default:
		target.body, target.deleted = "", next
		m.kinds = append(m.kinds, "deleted")
	}
	return next, ""
}

// testModel asks for anything at random, nonces used before among it, and holds the ledger's answers
// and what it keeps against the model's.
func testModel(t *testing.T, b Backend) {
	p := newPod(t, b.Open(t))
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	models := make(map[chat.RoomID]*model)
	var rooms []chat.RoomID
	for n := range 3 {
		room := p.room(t, chat.Slug(fmt.Sprint("r", n)))
		rooms = append(rooms, room.ID)
		models[room.ID] = &model{room: room.Room, messages: make(map[chat.Seq]*modelMessage), nonces: make(map[string]modelNonce)}
	}
	people := []chat.User{ada, bob, gil, staff}
	kinds := []operation.Name{operation.NameSend, operation.NameSend, operation.NameEdit, operation.NameDelete}
	for range 60 {
		batch := make([]ledger.Entry, 1+random.IntN(8))
		for i := range batch {
			e := ledger.Entry{Tenant: tenant, Author: people[random.IntN(len(people))], Room: rooms[random.IntN(len(rooms))], Kind: kinds[random.IntN(len(kinds))]}
			e.Nonce = fmt.Sprint(random.IntN(60))
			if e.Kind != operation.NameDelete {
				e.Body = fmt.Sprint("body ", random.IntN(3))
			}
			if about := chat.Seq(1 + random.IntN(20)); e.Kind != operation.NameSend {
				e.Message = about
			} else if random.IntN(4) == 0 {
				e.ReplyTo = about
			}
			batch[i] = e
		}
		for i, got := range p.append(t, batch...) {
			if want := models[batch[i].Room].append(batch[i]); got != want {
				t.Fatalf("%+v: %s, want %s", batch[i], got, want)
			}
		}
	}
	for _, room := range rooms {
		models[room].compare(t, p, room)
	}
}

func (m *model) compare(t *testing.T, p pod, room chat.RoomID) {
	t.Helper()
	var kinds []string
	for _, e := range p.log(t, room) {
		kinds = append(kinds, e.Kind)
	}
	if fmt.Sprint(kinds) != fmt.Sprint(m.kinds) {
		t.Errorf("room %d has %v, want %v", room, kinds, m.kinds)
	}
	kept := p.snapshot(t, room)
	if len(kept) != len(m.messages) {
		t.Errorf("%d messages, want %d", len(kept), len(m.messages))
	}
	for id, want := range m.messages {
		got := parse[state](t, []byte(kept[id]))
		body := ""
		if got.Body != nil {
			body = *got.Body
		}
		if got.Author.ID != want.author || body != want.body || got.Deleted != (want.deleted != 0) {
			t.Errorf("message %d is %s, want %+v", id, kept[id], *want)
		}
	}
}
