package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/client"
	"github.com/parley-chat/parley/pkg/lifecycle"
	"github.com/parley-chat/parley/pkg/wire"
	"github.com/parley-chat/parley/services/standalone/internal/datadir"
)

const adminPassword = "correct horse battery"

// running is a cluster that runs until the test ends.
type running struct{ *Cluster }

func startCluster(t *testing.T, environ ...string) *running {
	t.Helper()
	dir, err := datadir.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	config := Config{
		Listen: "127.0.0.1:0", Bin: programs(t), Rooms: 2, Edges: 3, Throwaway: true,
		Env: append([]string{"PARLEY_ADMIN_USER=root", "PARLEY_ADMIN_PASSWORD=" + adminPassword, "PARLEY_LOG_LEVEL=warn"}, environ...),
	}
	told := func(message string) { t.Logf("%s: %s", time.Now().Format("05.000"), message) }
	c, err := New(t.Context(), config, dir, slog.New(slog.DiscardHandler), told)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	ready, ran := make(chan struct{}), make(chan error, 1)
	go func() { ran <- lifecycle.Run(ctx, func() { close(ready) }, c.Parts()...) }()
	t.Cleanup(func() {
		stop()
		stopped := time.Now()
		err := <-ran
		t.Logf("all stopped within %s", time.Since(stopped))
		if err != nil {
			t.Error("the cluster:", err)
		}
		if t.Failed() {
			for _, child := range c.Children() {
				t.Logf("the end of the log of %s:\n%s", child.Name, tail(child.LogFile))
			}
		}
		_ = dir.Close()
	})
	select {
	case <-ready:
	case err := <-ran:
		ran <- nil
		t.Fatal(err)
	}
	return &running{c}
}

// programs is the folder of the services' programs: make test has built them, else they are built.
func programs(t *testing.T) string {
	t.Helper()
	if folder := os.Getenv("PARLEY_TEST_BIN"); folder != "" {
		return folder
	}
	folder := t.TempDir()
	for _, service := range []string{"auth", "rooms", "edge", "web"} {
		path := "github.com/parley-chat/parley/services/" + service + "/cmd/" + service
		if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(folder, service), path).CombinedOutput(); err != nil {
			t.Fatalf("build %s: %v\n%s", service, err, out)
		}
	}
	return folder
}

func pause(t *testing.T, d time.Duration) {
	t.Helper()
	if err := wait(t.Context(), d); err != nil {
		t.Fatal(err)
	}
}

func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// talk is the clients and what they noted.
type talk struct {
	reconnects, replays atomic.Int64
	end, quit           context.CancelFunc
	sending, sockets    sync.WaitGroup

	mu       sync.Mutex
	clients  []*talker
	problems []string
}

// talker is one client: its socket, and what it sent and saw.
type talker struct {
	talk   *talk
	who    string
	socket *client.Socket
	rooms  []chat.Slug

	mu   sync.Mutex
	sent []sent
	saw  map[chat.Slug]*sight
}

func startTalk(t *testing.T, url string, cut *cutter, random *rand.Rand) *talk {
	t.Helper()
	ctx := t.Context()
	api := client.NewHTTP(url, &http.Client{Timeout: 20 * time.Second})
	admin, err := api.Login(ctx, "root", adminPassword)
	if err != nil {
		t.Fatal("the administrator signs in:", err)
	}
	rooms := make([]chat.Slug, talkRooms)
	for i := range rooms {
		rooms[i] = chat.Slug(fmt.Sprintf("talk-%d", i))
		if _, err := api.CreateRoom(ctx, admin.AccessToken, client.NewRoom{Slug: rooms[i], Name: string(rooms[i]), AllowGuests: true}); err != nil {
			t.Fatal("make a room:", err)
		}
	}
	k := &talk{}
	socketContext, quit := context.WithCancel(ctx)
	sendContext, end := context.WithCancel(ctx)
	k.quit, k.end = quit, end
	t.Cleanup(func() {
		end()
		quit()
		k.sending.Wait()
		k.sockets.Wait()
	})
	var joining sync.WaitGroup
	for i := range talkers {
		guest, err := api.Guest(ctx, fmt.Sprintf("guest %d", i))
		if err != nil {
			t.Fatal("a guest:", err)
		}
		c := &talker{talk: k, who: guest.User.Name, saw: map[chat.Slug]*sight{}}
		for _, n := range random.Perm(talkRooms)[:roomsEach] {
			c.rooms = append(c.rooms, rooms[n])
		}
		c.socket = client.NewSocket(client.Options{Base: url, Tokens: api.Keep(guest), Handler: c, Dial: cut.dial, AnswerTimeout: 5 * time.Second})
		k.clients = append(k.clients, c)
		k.sockets.Go(func() {
			if err := c.socket.Run(socketContext); err != nil {
				k.complain("%s: %v", c.who, err)
			}
		})
		joining.Go(func() {
			limit, cancel := context.WithTimeout(socketContext, 30*time.Second)
			defer cancel()
			for _, room := range c.rooms {
				if err := c.socket.Join(limit, room, client.JoinOptions{}, &view{talker: c, room: room}); err != nil {
					k.complain("%s joins %s: %v", c.who, room, err)
				}
			}
		})
	}
	joining.Wait()
	for _, c := range k.clients {
		order := rand.New(rand.NewPCG(random.Uint64(), 0))
		k.sending.Go(func() { c.talkOn(sendContext, ctx, order) })
	}
	return k
}

// talkOn sends until stopping ends; a message under way is seen through.
func (c *talker) talkOn(stopping, ctx context.Context, random *rand.Rand) {
	for n := 1; wait(stopping, time.Duration(random.Int64N(int64(2*talkPause)))) == nil; n++ {
		m := sent{who: c.who, room: c.rooms[random.IntN(len(c.rooms))], nonce: fmt.Sprintf("%s-%d", c.who, n)}
		limit, cancel := context.WithTimeout(ctx, settleIn)
		id, err := c.socket.Send(limit, m.room, client.Outgoing{Body: "message " + m.nonce, Nonce: m.nonce})
		cancel()
		m.acked = id
		c.mu.Lock()
		c.sent = append(c.sent, m)
		c.mu.Unlock()
		if err != nil {
			c.talk.complain("%s could not send %s: %v", c.who, m.nonce, err)
		}
	}
}

// State implements client.Handler.
func (c *talker) State(connected bool, _ error) {
	if !connected {
		c.talk.reconnects.Add(1)
	}
}

// Frame implements client.Handler.
func (c *talker) Frame(string, []byte) {}

// view is a talker's view of one room.
type view struct {
	talker *talker
	room   chat.Slug
}

// Joined implements client.RoomHandler.
func (v *view) Joined(joined client.Joined) {
	c := v.talker
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.saw[v.room] == nil:
		c.saw[v.room] = &sight{who: c.who, room: v.room, start: joined.Cursor}
	case joined.Recovered:
		c.talk.replays.Add(1)
	default:
		c.talk.complain("%s in %s: not recovered, at %d", c.who, v.room, joined.Cursor)
	}
}

// Entry implements client.RoomHandler.
func (v *view) Entry(event wire.Event) {
	c := v.talker
	c.mu.Lock()
	defer c.mu.Unlock()
	m := event.Message
	c.saw[v.room].entries = append(c.saw[v.room].entries, row{seq: event.Seq, author: m.Author.ID, nonce: m.Nonce, body: m.Body})
}

// Signal implements client.RoomHandler.
func (v *view) Signal(string, []byte) {}

// Left implements client.RoomHandler.
func (v *view) Left(why error) { v.talker.talk.complain("%s left %s: %v", v.talker.who, v.room, why) }

func (k *talk) complain(format string, args ...any) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.problems = append(k.problems, fmt.Sprintf(format, args...))
}

func (k *talk) complaints() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.problems
}

// stop ends the talk once everything under way has its answer.
func (k *talk) stop(t *testing.T) {
	t.Helper()
	k.end()
	done := make(chan struct{})
	go func() {
		k.sending.Wait()
		close(done)
	}()
	ctx, cancel := context.WithTimeout(t.Context(), settleIn+5*time.Second)
	defer cancel()
	select {
	case <-done:
	case <-ctx.Done():
		t.Fatal("a message is still under way:", errors.Join(ctx.Err()))
	}
}

// sawAll says whether every client saw the end of each of its rooms.
func (k *talk) sawAll(logs histories) bool {
	for _, c := range k.clients {
		for _, room := range c.rooms {
			if cursor, joined := c.socket.Cursor(room); !joined || int(cursor.Seq) < len(logs[room]) {
				return false
			}
		}
	}
	return true
}

// results ends the sockets and returns what the clients noted.
func (k *talk) results() (messages []sent, sights []sight) {
	k.quit()
	k.sockets.Wait()
	for _, c := range k.clients {
		messages = append(messages, c.sent...)
		for _, s := range c.saw {
			sights = append(sights, *s)
		}
	}
	return messages, sights
}
