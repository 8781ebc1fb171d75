package postgres

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/operation"
	"github.com/parley-chat/parley/services/rooms/internal/directory"
	"github.com/parley-chat/parley/services/rooms/internal/ledger"
	"github.com/parley-chat/parley/services/rooms/internal/policy"
	"github.com/parley-chat/parley/services/rooms/internal/storetest"
)

// breaker is a proxy before PostgreSQL that breaks a connection at a chosen moment.
type breaker struct {
	listener net.Listener
	server   string
	// next breaks the next connection that sends text: before the server gets it, or after the server
	// has answered, but before the client hears of it.
	next atomic.Pointer[fault]
	wg   sync.WaitGroup
}

type fault struct {
	text  string
	heard bool // whether the server gets it
}

// newBreaker returns a proxy and the URL of where through it. Statements come as text each time.
func newBreaker(t *testing.T, where string) (*breaker, string) {
	t.Helper()
	u, err := url.Parse(where)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &breaker{listener: listener, server: u.Host}
	b.wg.Go(b.accept)
	t.Cleanup(func() { _ = listener.Close(); b.wg.Wait() })
	u.Host = listener.Addr().String()
	u.RawQuery += "&default_query_exec_mode=cache_describe"
	return b, u.String()
}

func (b *breaker) accept() {
	for {
		client, err := b.listener.Accept()
		if err != nil {
			return
		}
		server, err := (&net.Dialer{}).Dial("tcp", b.server)
		if err != nil {
			_ = client.Close()
			return
		}
		var mute atomic.Bool
		b.wg.Go(func() { b.forward(client, server, &mute) })
		b.wg.Go(func() { back(client, server, &mute) })
	}
}

func (b *breaker) forward(client, server net.Conn, mute *atomic.Bool) {
	defer func() { _ = server.Close() }()
	buffer := make([]byte, 64<<10)
	for {
		n, err := client.Read(buffer)
		if err != nil {
			return
		}
		f := b.next.Load()
		hit := f != nil && bytes.Contains(buffer[:n], []byte(f.text)) && b.next.CompareAndSwap(f, nil)
		mute.Store(hit)
		if hit && !f.heard {
			_ = client.Close()
			return
		}
		if _, err := server.Write(buffer[:n]); err != nil {
			return
		}
	}
}

func back(client, server net.Conn, mute *atomic.Bool) {
	defer func() { _ = client.Close() }()
	buffer := make([]byte, 64<<10)
	for {
		n, err := server.Read(buffer)
		if err != nil || mute.Load() {
			return
		}
		if _, err := io.Copy(client, bytes.NewReader(buffer[:n])); err != nil {
			return
		}
	}
}

// world is a ledger behind a breaker, and one beside it.
type world struct {
	breaker      *breaker
	broken, good *ledger.Ledger
	room         chat.RoomID
	where        string
}

func newWorld(t *testing.T) world {
	t.Helper()
	where := storetest.Postgres(t)
	breaker, through := newBreaker(t, where)
	good, directories := newLedger(t, where)
	broken, _ := newLedger(t, through)
	room, err := directories.Create(t.Context(), directory.Caller{Tenant: chat.DefaultTenant, User: &author}, directory.Draft{Slug: "one", Name: "One"})
	if err != nil {
		t.Fatal(err)
	}
	return world{breaker, broken, good, room.ID, where}
}

var author = chat.User{ID: "u-ada", Name: "Ada", Kind: chat.KindUser}

func newLedger(t *testing.T, where string) (*ledger.Ledger, *directory.Directory) {
	t.Helper()
	store, log, reg := open(t, where), slog.New(slog.DiscardHandler), prometheus.NewRegistry()
	rules := policy.Rules{UsersCreate: true}
	l := ledger.New(ledger.Deps{Store: store, Bus: silent{}, Rules: rules, Log: log, Registry: reg, Now: time.Now})
	return l, directory.New(directory.Deps{Store: store, Ledger: l, Rules: rules, Log: log, Registry: reg})
}

func (w world) send(t *testing.T, l *ledger.Ledger, nonce string) ledger.Outcome {
	t.Helper()
	return l.Append(t.Context(), []ledger.Entry{{Tenant: chat.DefaultTenant, Author: author, Room: w.room, Kind: operation.NameSend, Request: operation.Request{Nonce: nonce, Body: "hi"}}})[0]
}

func (w world) head(t *testing.T) chat.Seq {
	t.Helper()
	r, err := w.good.Tail(t.Context(), w.room, 0, 0)
	if err != nil || int(r.Head) != len(r.Entries) {
		t.Fatal(err, r)
	}
	return r.Head
}

func TestABrokenConnectionIsUnknownAndARetryStoresOnce(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		what    string
		fault   fault
		stored  chat.Seq
		unknown bool
	}{
		{"while the rooms are locked", fault{"FOR NO KEY UPDATE", false}, 1, false},
		{"before the server hears of the commit", fault{"COMMIT\x00", false}, 1, true},
		{"after the server committed", fault{"COMMIT\x00", true}, 2, true},
	} {
		t.Run(c.what, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			if o := w.send(t, w.broken, "first"); o.Err != nil { // the driver now knows the statements
				t.Fatal(o.Err)
			}
			w.breaker.next.Store(&c.fault)
			o := w.send(t, w.broken, "n")
			if chat.CodeOf(o.Err) != chat.CodeUnavailable || errors.Is(o.Err, ledger.ErrUnknown) != c.unknown {
				t.Errorf("%+v", o)
			}
			if w.breaker.next.Load() != nil {
				t.Error("nothing broke")
			}
			if got := w.head(t); got != c.stored {
				t.Errorf("%d stored, want %d", got, c.stored)
			}
			for _, l := range []*ledger.Ledger{w.broken, w.good} {
				if o := w.send(t, l, "n"); o.Err != nil || o.Seq != 2 {
					t.Errorf("sent again: %+v", o)
				}
			}
			if got := w.head(t); got != 2 {
				t.Errorf("%d stored, want 2", got)
			}
		})
	}
}

// TestAFrozenPodLetsGoOfItsRooms freezes a pod with a room locked.
func TestAFrozenPodLetsGoOfItsRooms(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	locked, thaw, done := make(chan struct{}), make(chan struct{}), make(chan error)
	go func() {
		done <- w.broken.Transact(t.Context(), ledger.Need{Rooms: []chat.RoomID{w.room}}, func(b *ledger.Book) error {
			close(locked)
			<-thaw
			room, _ := b.Room(w.room)
			b.Notice(room, "late")
			return nil
		})
	}()
	<-locked
	if o := w.send(t, w.good, "n"); o.Err != nil || o.Seq != 1 {
		t.Errorf("%+v", o)
	}
	close(thaw)
	if err := <-done; chat.CodeOf(err) != chat.CodeUnavailable {
		t.Error(err)
	}
	if got := w.head(t); got != 1 {
		t.Errorf("%d stored, want 1", got)
	}
}

// TestAppendsUpdateNoRow: under an open snapshot, as of pg_dump, a row that every append updates leaves
// a dead version each time, and appends slow down to a fifth within a minute.
func TestAppendsUpdateNoRow(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	pool := openPool(t, w.where)
	version := func() (v string) {
		if err := pool.QueryRow(t.Context(), "SELECT string_agg(ctid::text || xmin::text, ' ') FROM rooms").Scan(&v); err != nil {
			t.Fatal(err)
		}
		return v
	}
	before := version()
	for _, nonce := range []string{"a", "b", "c"} {
		if o := w.send(t, w.good, nonce); o.Err != nil {
			t.Fatal(o.Err)
		}
	}
	if after := version(); after != before {
		t.Errorf("the room's row is now %s, was %s", after, before)
	}
}
