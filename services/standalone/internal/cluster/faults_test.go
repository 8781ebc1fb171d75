package cluster

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/parley-chat/parley/pkg/chat"
)

// The size of the talk. Two cores run all of it: PostgreSQL, Redis, 7 services and the clients.
const (
	talkers    = 240
	talkRooms  = 16
	roomsEach  = 2
	talkPause  = 4 * time.Second // a client's mean time between messages
	faultPause = 1200 * time.Millisecond
	settleIn   = 45 * time.Second
)

// Guarantees 1 to 4, while everything that can die does: a few hundred clients talk over 3 edges and 2
// rooms pods; afterwards what each of them saw is a contiguous slice of the log, in order and
// without a double, and every acked message is in the database once.
func TestNothingIsLostWhateverDies(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	if given := os.Getenv("PARLEY_TEST_SEED"); given != "" {
		var err error
		if seed, err = strconv.ParseUint(given, 10, 64); err != nil {
			t.Fatal("PARLEY_TEST_SEED:", err)
		}
	}
	t.Logf("PARLEY_TEST_SEED=%d repeats these faults", seed)
	random := rand.New(rand.NewPCG(seed, 0))

	c := startCluster(t, "PARLEY_LIMIT_GUEST=0", "PARLEY_LIMIT_LOGIN=0", "PARLEY_LIMIT_ROOM_CREATE=0")
	cut := &cutter{}
	talk := startTalk(t, c.URL, cut, random)

	faults := c.faults(cut)
	random.Shuffle(len(faults), func(i, j int) { faults[i], faults[j] = faults[j], faults[i] })
	for _, f := range faults {
		pause(t, faultPause/2+time.Duration(random.Int64N(int64(faultPause))))
		t.Logf("%s: %s", time.Now().Format("05.000"), f.name)
		if err := f.do(t.Context()); err != nil {
			t.Errorf("%s: %v", f.name, err)
		}
	}
	pause(t, faultPause)
	began := time.Now()
	talk.stop(t)
	answered := time.Since(began)
	logs := c.settled(t, talk)
	t.Logf("after the last fault, every message had its answer within %s and every client the end of its rooms within %s", answered, time.Since(began))

	var entries int
	for _, log := range logs {
		entries += len(log)
	}
	messages, sights := talk.results()
	acked := 0
	for _, m := range messages {
		if m.acked != 0 {
			acked++
		}
	}
	t.Logf("%d messages of %d clients, %d acked, %d in the database; %d reconnects, %d replays", len(messages), talkers, acked, entries, talk.reconnects.Load(), talk.replays.Load())
	violations := slices.Concat(checkNoHoles(logs), checkOnce(logs), checkAcked(messages, logs), checkSenders(messages, logs))
	for _, s := range sights {
		violations = append(violations, checkSight(s, logs[s.room])...)
	}
	violations = append(violations, talk.complaints()...)
	for i, v := range violations {
		if i == 40 {
			t.Errorf("and %d more", len(violations)-i)
			break
		}
		t.Error(v)
	}
	if acked < talkers || talk.replays.Load() == 0 {
		t.Error("too little happened for this test to mean anything")
	}
}

type fault struct {
	name string
	do   func(ctx context.Context) error
}

// faults are every kind of harm at least once.
func (c *running) faults(cut *cutter) []fault {
	signal := func(s syscall.Signal, names ...string) fault {
		return fault{s.String() + " " + strings.Join(names, ", "), func(ctx context.Context) error {
			for _, name := range names {
				if err := c.signal(ctx, name, s); err != nil {
					return err
				}
			}
			return nil
		}}
	}
	freeze := func(d time.Duration, names ...string) fault {
		return fault{"freeze " + strings.Join(names, ", "), func(ctx context.Context) error {
			for _, name := range names {
				if err := c.signal(ctx, name, syscall.SIGSTOP); err != nil {
					return err
				}
				defer func() { _ = c.signal(ctx, name, syscall.SIGCONT) }()
			}
			return wait(ctx, d)
		}}
	}
	sockets := fault{"cut a third of the sockets", func(context.Context) error {
		cut.some(3)
		return nil
	}}
	flush := fault{"flush redis", func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
		for { // it may be on its way up from the fault before
			err := flushRedis(ctx, c.Redis.Address)
			if err == nil {
				return nil
			}
			if wait(ctx, 50*time.Millisecond) != nil {
				return err
			}
		}
	}}
	return []fault{
		signal(syscall.SIGKILL, "edge-1"), signal(syscall.SIGKILL, "edge-2"), signal(syscall.SIGKILL, "edge-3", "rooms-1"),
		signal(syscall.SIGKILL, "rooms-1"), signal(syscall.SIGKILL, "rooms-2"), signal(syscall.SIGKILL, "rooms-1", "rooms-2"),
		signal(syscall.SIGTERM, "edge-1"), signal(syscall.SIGTERM, "rooms-2"), signal(syscall.SIGKILL, "auth"),
		signal(syscall.SIGKILL, "redis"), signal(syscall.SIGTERM, "redis"), signal(syscall.SIGKILL, "redis", "edge-2", "rooms-1"),
		signal(syscall.SIGQUIT, "postgres"), // a crash: it recovers from its log when it starts
		freeze(2*time.Second, "edge-3"), freeze(2*time.Second, "rooms-1"), freeze(2*time.Second, "redis"),
		freeze(5*time.Second, "rooms-1", "rooms-2"), // longer than an edge waits for them: the outcome of what was sent is unknown
		sockets, sockets, flush, flush,
	}
}

// signal signals a process, once it is up again from the fault before.
func (c *running) signal(ctx context.Context, name string, s syscall.Signal) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for c.Child(name).PID() == 0 {
		if err := wait(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
	return c.Child(name).Signal(s)
}

func flushRedis(ctx context.Context, address string) error {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	if _, err := conn.Write([]byte("FLUSHALL\r\n")); err != nil {
		return err
	}
	answer := make([]byte, 16)
	if n, err := conn.Read(answer); err != nil || !strings.HasPrefix(string(answer[:n]), "+OK") {
		return fmt.Errorf("FLUSHALL answers %q, %w", answer[:n], err)
	}
	return nil
}

// settled waits until every client saw the end of its rooms, and returns the logs from the database. A
// client that never does is left to the checks.
func (c *running) settled(t *testing.T, talk *talk) histories {
	t.Helper()
	deadline := time.Now().Add(settleIn)
	for {
		logs := c.logs(t)
		if talk.sawAll(logs) || time.Now().After(deadline) {
			return logs
		}
		pause(t, 250*time.Millisecond)
	}
}

func (c *running) logs(t *testing.T) histories {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), c.Postgres.URL(roomsDatabase))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(t.Context())) }()
	rows, err := conn.Query(t.Context(), `SELECT slug, seq, author_id, nonce, body FROM room_log JOIN rooms ON rooms.id = room_id ORDER BY slug, seq`)
	if err != nil {
		t.Fatal(err)
	}
	logs := histories{}
	var (
		slug chat.Slug
		r    row
	)
	if _, err := pgx.ForEachRow(rows, []any{&slug, &r.seq, &r.author, &r.nonce, &r.body}, func() error {
		logs[slug] = append(logs[slug], r)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return logs
}

// cutter opens connections, and cuts them without a word.
type cutter struct {
	mu   sync.Mutex
	open map[net.Conn]bool
}

type cuttable struct {
	net.Conn

	from *cutter
}

func (c *cutter) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open == nil {
		c.open = map[net.Conn]bool{}
	}
	c.open[conn] = true
	return cuttable{conn, c}, nil
}

// Close implements net.Conn.
func (c cuttable) Close() error {
	c.from.mu.Lock()
	delete(c.from.open, c.Conn)
	c.from.mu.Unlock()
	return c.Conn.Close()
}

// some cuts every nth connection; maps have no order, so it is any.
func (c *cutter) some(nth int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := 0
	for conn := range c.open {
		if i++; i%nth == 0 {
			_ = conn.Close()
		}
	}
}
