package stream_test

import (
	"log/slog"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/redistest"
	"github.com/parley-chat/parley/pkg/roomsapi"
	"github.com/parley-chat/parley/pkg/stream"
)

// talk is a publisher and an ear on one Redis, and how far each room has got.
type talk struct {
	client redis.UniversalClient
	pub    *stream.Publisher
	reader *stream.Reader
	bells  *stream.Notifications
	ear    *ear
	at     map[stream.Room]chat.Seq
}

func newTalk(t *testing.T, url string) *talk {
	t.Helper()
	client := redistest.Open(t, url)
	x := &talk{client: client, pub: publisher(t, client), reader: stream.NewReader(client), ear: &ear{rang: map[stream.Room][]chat.Seq{}}, at: map[stream.Room]chat.Seq{}}
	x.bells = stream.NewNotifications(client, x.ear, slog.New(slog.DiscardHandler))
	running(t, x.bells.Run)
	eventually(t, "lines", x.bells.Healthy)
	return x
}

func (x *talk) subscribe(t *testing.T, rooms ...stream.Room) {
	t.Helper()
	for _, room := range rooms {
		subscribe(t, x.bells, room)
	}
}

// say publishes the next entry of a room.
func (x *talk) say(room stream.Room) {
	x.at[room]++
	x.pub.Publish(room.Tenant, room.Log, []roomsapi.Entry{entry(x.at[room], "x")})
}

// arrives says whether what was said last in a room has rung and can be read.
func (x *talk) arrives(t *testing.T, room stream.Room) bool {
	t.Helper()
	if !x.ear.heard(room, x.at[room]) {
		return false
	}
	news, err := x.reader.Read(t.Context(), []stream.Position{{Room: room, After: x.at[room] - 1}})
	return err == nil && len(news[room]) == 1
}

// talks says an entry, again and again until one arrives: meanwhile some may get lost.
func (x *talk) talks(t *testing.T, room stream.Room) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; {
		x.say(room)
		for until := time.Now().Add(500 * time.Millisecond); time.Now().Before(until); time.Sleep(5 * time.Millisecond) {
			if x.arrives(t, room) {
				return
			}
		}
		if time.Now().After(deadline) {
			t.Fatal("never again: ", room)
		}
	}
}

func TestAClusterLosesAMaster(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, 1)
	x := newTalk(t, c.URL)
	rooms := map[int][]stream.Room{} // by master
	for len(rooms[0]) < 5 || len(rooms[1]) < 5 || len(rooms[2]) < 5 {
		room := newRoom()
		owner := c.Owner(t, room.Key("bell"))
		rooms[owner] = append(rooms[owner], room)
		x.subscribe(t, room)
	}
	for _, some := range rooms {
		for _, room := range some {
			x.talks(t, room)
		}
	}

	c.Kill(0)
	// The others go on, and what can't be read is told apart from what is not there.
	for _, room := range append(rooms[1], rooms[2]...) {
		x.talks(t, room)
	}
	lost, kept := rooms[0][0], rooms[1][0]
	news, err := x.reader.Read(t.Context(), []stream.Position{{Room: lost, After: 0}, {Room: kept, After: 0}, {Room: rooms[2][0], After: x.at[rooms[2][0]]}})
	if err != nil {
		t.Fatal("nothing could be read:", err)
	}
	if run, told := news[lost]; !told || len(run) != 0 || len(news[kept]) == 0 || len(news) != 2 {
		t.Errorf("%v", news)
	}
	eventually(t, "somebody says that a line is down", func() bool { return !x.bells.Healthy() })

	c.TakeOver(t)
	for _, room := range rooms[0] {
		x.talks(t, room)
	}
	eventually(t, "lines", x.bells.Healthy)
	x.subscribe(t, stream.Room{Tenant: "another", Log: lost.Log})
}

func TestAClusterMovesAPartition(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, 0)
	x := newTalk(t, c.URL)
	moving, staying := newRoom(), newRoom()
	x.subscribe(t, moving, staying)
	x.talks(t, moving)
	from := c.Owner(t, moving.Key("bell"))
	c.Move(t, moving.Key("bell"), (from+1)%3)
	began := time.Now()
	x.talks(t, moving)
	t.Log("heard again after", time.Since(began))
	x.talks(t, staying)
	news, err := x.reader.Read(t.Context(), []stream.Position{{Room: moving, After: 0}})
	if err != nil || seqs(news[moving][:1]) != "1" {
		t.Error("what was there before has moved along:", err, news)
	}
	x.subscribe(t, stream.Room{Tenant: "another", Log: moving.Log})
}

func TestSentinelMakesAnotherMaster(t *testing.T) {
	t.Parallel()
	s := redistest.StartSentinel(t)
	x := newTalk(t, s.URL)
	rooms := []stream.Room{newRoom(), newRoom()}
	x.subscribe(t, rooms...)
	for _, room := range rooms {
		x.talks(t, room)
	}
	s.KillMaster()
	began := time.Now()
	for _, room := range rooms {
		x.talks(t, room)
	}
	t.Log("heard again after", time.Since(began))
	eventually(t, "lines", x.bells.Healthy)
}
