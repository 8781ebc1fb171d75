package session

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/roomsapi"
	"github.com/parley-chat/parley/pkg/stream"
	"github.com/parley-chat/parley/pkg/token"
	"github.com/parley-chat/parley/services/edge/internal/room"
)

// fakeRooms is a rooms service with one room, general, which everybody may read. It commits what is appended, and
// its stream is held back: nothing of it reaches the edge by itself.
type fakeRooms struct {
	mu      sync.Mutex
	entries []roomsapi.Entry
}

func (r *fakeRooms) Append(a roomsapi.Append, done func(chat.Seq, error)) {
	r.mu.Lock()
	seq := chat.Seq(len(r.entries) + 1)
	event := fmt.Sprintf(`{"type":"message","room":"general","seq":%d,"message":{"id":%d,"body":%q}}`, seq, seq, a.Body)
	r.entries = append(r.entries, roomsapi.Entry{Seq: seq, Kind: "message", Message: seq, Event: json.RawMessage(event)})
	r.mu.Unlock()
	done(seq, nil)
}

func (*fakeRooms) Access(_ context.Context, _ string, slug chat.Slug) (roomsapi.Access, error) {
	return roomsapi.Access{ID: 7, Room: &chat.Room{Slug: slug, Log: "L"}, ForAll: true}, nil
}

func (*fakeRooms) History(context.Context, chat.RoomID, chat.Seq, int) (roomsapi.History, error) {
	return roomsapi.History{}, nil
}

func (r *fakeRooms) Tail(ctx context.Context, room chat.RoomID, limit, bytes int) (roomsapi.Range, error) {
	return r.Entries(ctx, room, 0, limit, bytes)
}

func (r *fakeRooms) Entries(_ context.Context, _ chat.RoomID, after chat.Seq, _, _ int) (roomsapi.Range, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return roomsapi.Range{Log: "L", Head: chat.Seq(len(r.entries)), Floor: 1, Entries: r.entries[after:]}, nil
}

func (*fakeRooms) Heads(context.Context) ([]roomsapi.Head, error) { return nil, nil }

// away is a Redis that notifies of nothing.
type away struct{}

func (away) Subscribe(context.Context, stream.Room) error { return errors.New("away") }
func (away) Unsubscribe(context.Context, stream.Room)     {}
func (away) Healthy() bool                                { return false }
func (away) Renew()                                       {}

type noPresence struct{}

func (noPresence) Enter(context.Context, *room.Room, chat.User) {}
func (noPresence) Exit(*room.Room, chat.User, bool)             {}
func (noPresence) Members(*room.Room) ([]chat.User, *int)       { return nil, nil }
func (noPresence) Typing(*room.Room, chat.User)                 {}

// client is the other side of a session's connection.
type client struct {
	t    *testing.T
	s    *Session
	conn net.Conn
}

func signIn(t *testing.T, rooms *fakeRooms) *client {
	t.Helper()
	claims := token.Claims{Tenant: chat.DefaultTenant, User: chat.User{ID: "u", Kind: chat.KindUser}, Session: "s", Expires: time.Now().Add(time.Hour)}
	server, conn := net.Pipe()
	shared, _ := newShared(claims, rooms)
	s := New(shared, server, "")
	t.Cleanup(func() {
		_ = conn.Close()
		s.End()
	})
	c := &client{t, s, conn}
	go s.Greet(t.Context(), claims, "raw", nil)
	c.read()
	return c
}

// read returns the next frame.
func (c *client) read() map[string]any {
	c.t.Helper()
	page := make([]byte, 64<<10)
	n, err := c.conn.Read(page)
	if err != nil {
		c.t.Fatal(err)
	}
	var frame map[string]any
	if err := json.Unmarshal(page[bytes.IndexByte(page[:n], '{'):n], &frame); err != nil {
		c.t.Fatal(err)
	}
	return frame
}

// ask sends a command and returns its answer.
func (c *client) ask(command string) map[string]any {
	c.t.Helper()
	go c.s.Handle(context.Background(), []byte(command))
	return c.read()
}

func TestAJoinIsNeverBehindItsOwnAuthor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rooms := &fakeRooms{}
		c := signIn(t, rooms)
		c.ask(`{"type":"join","id":1,"room":"general"}`)
		if sent := c.ask(`{"type":"send","id":2,"room":"general","body":"hi","nonce":"n"}`); sent["message"] != 1.0 {
			t.Fatal(sent)
		}
		time.AfterFunc(time.Second, func() { // what the stream brings comes late
			c.s.Feed.Rooms.ByID(7).Deliver(rooms.entries)
		})
		joined := c.ask(`{"type":"join","id":3,"room":"general"}`)
		if joined["type"] == "message" { // it was in the room before, and gets what comes to it
			joined = c.read()
		}
		if joined["cursor"] != 1.0 {
			t.Error("joined behind its own message:", joined)
		}
	})
}

func TestAJoinWaitsForABoundedTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := signIn(t, &fakeRooms{})
		c.ask(`{"type":"join","id":1,"room":"general"}`)
		c.ask(`{"type":"send","id":2,"room":"general","body":"hi","nonce":"n"}`)
		before := time.Now()
		if joined := c.ask(`{"type":"join","id":3,"room":"general"}`); joined["cursor"] != 0.0 || time.Since(before) > 3*time.Second {
			t.Error(joined, "after", time.Since(before))
		}
	})
}

func TestACommandOfARoomNamesIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := signIn(t, &fakeRooms{})
		for kind, cmd := range commands {
			if !cmd.room {
				continue
			}
			if answer := c.ask(`{"type":"` + kind + `","id":1}`); answer["code"] != string(chat.CodeBadRequest) {
				t.Error(kind, answer)
			}
		}
	})
}
