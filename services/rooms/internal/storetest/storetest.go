// Package storetest is the contract of the stores: the ledger and the directory, as they are, on any
// database. Every store's test runs it.
package storetest

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/lobby"
	"github.com/parley-chat/parley/pkg/operation"
	"github.com/parley-chat/parley/pkg/roomsapi"
	"github.com/parley-chat/parley/services/rooms/internal/directory"
	"github.com/parley-chat/parley/services/rooms/internal/ledger"
	"github.com/parley-chat/parley/services/rooms/internal/policy"
)

// Store is all that a database must do.
type Store interface {
	ledger.Store
	directory.Store
}

// Backend is an empty database. Open opens it, for one more pod each time.
type Backend struct {
	Open func(t *testing.T) Store
	// Exec runs a statement that both databases know.
	Exec func(t *testing.T, statement string)
	// Poison makes the database refuse entries with this body.
	Poison func(t *testing.T, body string)
}

// Run runs the contract; fresh makes an empty database for each test.
func Run(t *testing.T, fresh func(t *testing.T) Backend) {
	t.Helper()
	for name, test := range map[string]func(*testing.T, Backend){
		"Append": testAppend, "Nonces": testNonces, "NoncesOfChanges": testNoncesOfChanges, "NonceOutlivesAccess": testNonceOutlivesAccess,
		"Changes": testChanges, "Refusals": testRefusals, "Poison": testPoison, "Pods": testPods, "Spans": testSpans, "Floor": testFloor, "Equivalence": testEquivalence, "Model": testModel,
		"Recent": testRecent, "Rooms": testRooms, "List": testList, "Search": testSearch, "Lobby": testLobby, "LobbyOfPods": testLobbyOfPods, "Seed": testSeed, "SeedOfOthers": testSeedOfOthers, "RenewLogs": testRenewLogs,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, fresh(t))
		})
	}
}

// The people of the tests.
var (
	ada   = chat.User{ID: "u-ada", Name: "Ada", Kind: chat.KindUser}
	bob   = chat.User{ID: "u-bob", Name: "Bob", Kind: chat.KindUser}
	gil   = chat.User{ID: "g-gil", Name: "Gil", Kind: chat.KindGuest}
	staff = chat.User{ID: "u-sue", Name: "Sue", Kind: chat.KindUser, Staff: true}
)

const tenant = chat.DefaultTenant

func as(u chat.User) directory.Caller { return directory.Caller{Tenant: tenant, User: &u} }

// pod is one rooms pod.
type pod struct {
	*directory.Directory

	ledger *ledger.Ledger
	bus    *bus
}

func newPod(t *testing.T, store Store) pod {
	t.Helper()
	rules := policy.Rules{UsersCreate: true, StaffDelete: true}
	log, reg, b := slog.New(slog.DiscardHandler), prometheus.NewRegistry(), &bus{streams: map[chat.LogID][]roomsapi.Entry{}, drops: map[chat.LogID]int{}}
	l := ledger.New(ledger.Deps{Store: store, Bus: b, Rules: rules, Log: log, Registry: reg, Now: time.Now})
	return pod{directory.New(directory.Deps{Store: store, Ledger: l, Rules: rules, Log: log, Registry: reg}), l, b}
}

// bus remembers what was published.
type bus struct {
	mu      sync.Mutex
	streams map[chat.LogID][]roomsapi.Entry
	drops   map[chat.LogID]int
	events  []lobby.Event
}

func (b *bus) Publish(_ chat.TenantID, log chat.LogID, entries []roomsapi.Entry) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.streams[log] = append(b.streams[log], entries...)
}

func (b *bus) Drop(_ chat.TenantID, log chat.LogID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.streams[log] = nil
	b.drops[log]++
}

func (b *bus) Announce(_ chat.LogID, events []lobby.Event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.events = append(b.events, events...)
}

// room makes a room for everyone.
func (p pod) room(t *testing.T, slug chat.Slug) ledger.Room {
	t.Helper()
	room, err := p.Create(t.Context(), as(ada), directory.Draft{Slug: slug, Name: string(slug), AllowGuests: true})
	if err != nil {
		t.Fatal(err)
	}
	return room
}

// The entries that tests ask for.
func send(u chat.User, room chat.RoomID, nonce, body string) ledger.Entry {
	return ledger.Entry{Tenant: tenant, Author: u, Room: room, Kind: operation.NameSend, Request: operation.Request{Nonce: nonce, Body: body}}
}

func reply(u chat.User, room chat.RoomID, nonce, body string, to chat.Seq) ledger.Entry {
	e := send(u, room, nonce, body)
	e.ReplyTo = to
	return e
}

func edit(u chat.User, room chat.RoomID, message chat.Seq, body string) ledger.Entry {
	return ledger.Entry{Tenant: tenant, Author: u, Room: room, Kind: operation.NameEdit, Request: operation.Request{Message: message, Body: body}}
}

func remove(u chat.User, room chat.RoomID, message chat.Seq) ledger.Entry {
	return ledger.Entry{Tenant: tenant, Author: u, Room: room, Kind: operation.NameDelete, Request: operation.Request{Message: message}}
}

func withNonce(e ledger.Entry, nonce string) ledger.Entry {
	e.Nonce = nonce
	return e
}

// append appends a batch and returns its outcomes as text: seqs and codes.
func (p pod) append(t *testing.T, entries ...ledger.Entry) []string {
	t.Helper()
	var all []string
	for _, o := range p.ledger.Append(t.Context(), entries) {
		if o.Err != nil {
			all = append(all, string(chat.CodeOf(o.Err)))
		} else {
			all = append(all, fmt.Sprint(o.Seq))
		}
	}
	return all
}

// want appends a batch and compares its outcomes.
func (p pod) want(t *testing.T, want string, entries ...ledger.Entry) {
	t.Helper()
	if got := fmt.Sprint(p.append(t, entries...)); got != want {
		t.Fatalf("outcomes %s, want %s", got, want)
	}
}

// log reads a whole log and checks that it is contiguous.
func (p pod) log(t *testing.T, room chat.RoomID) []roomsapi.Entry {
	t.Helper()
	var all []roomsapi.Entry
	for {
		page, err := p.ledger.Entries(t.Context(), room, chat.Seq(len(all)), 7, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range page.Entries {
			if e.Seq != chat.Seq(len(all))+1 {
				t.Fatalf("seq %d after %d", e.Seq, len(all))
			}
			all = append(all, e)
		}
		if chat.Seq(len(all)) >= page.Head {
			return all
		}
	}
}

// state is a message as clients keep it.
type state struct {
	ID       chat.Seq    `json:"id"`
	Author   chat.Author `json:"author"`
	Body     *string     `json:"body"`
	Nonce    string      `json:"nonce"`
	ReplyTo  chat.Seq    `json:"reply_to"`
	SentAt   string      `json:"sent_at"`
	EditedAt string      `json:"edited_at"`
	Deleted  bool        `json:"deleted"`
}

func parse[T any](t *testing.T, raw []byte) (v T) {
	t.Helper()
	if err := json.Unmarshal(raw, &v); err != nil {
		t.Fatalf("%v in %s", err, raw)
	}
	return v
}

func code(t *testing.T, err error, want chat.Code) {
	t.Helper()
	if chat.CodeOf(err) != want {
		t.Fatalf("got %v, want %q", err, want)
	}
}
