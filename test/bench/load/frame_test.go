//go:build linux

package load

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// served is a text frame as servers write it.
func served(payload string) []byte {
	b := []byte{opText}
	switch n := len(payload); {
	case n < 126:
		b = append(b, byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, 126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 127), uint64(n))
	}
	return append(b, payload...)
}

func message(room Room, seq, due int64, body string) string {
	return fmt.Sprintf(`{"type":"message","room":"%s","seq":%d,"message":{"id":%d,"author":{"id":"u","name":"\"seq\":9","kind":"guest"},"body":"@%d %s","sent_at":"2026-01-01T00:00:00.000Z","nonce":"n"}}`, room.Slug(), seq, seq, due, body)
}

// However a stream of frames is cut into reads, the same is counted.
func TestFramesAreWalkedHoweverTheyAreSplit(t *testing.T) {
	const room, frames = Room(7), 400
	var stream []byte
	for i := range frames {
		stream = append(stream, served(message(room, int64(i+1), 5, strings.Repeat("x", i*7%300)))...)
		switch i % 5 {
		case 0:
			stream = append(stream, served(`{"type":"typing","room":"bench-7"}`)...)
		case 1:
			stream = append(stream, served(`{"type":"members","room":"bench-7","message":{"seq":1}}`)...)
		case 2:
			stream = append(stream, served(`{"type":"sent","id":9,"room":"bench-7","message":1}`)...)
		case 3:
			stream = append(stream, served(`{"type":"notice","text":"`+strings.Repeat("y", 70_000)+`"}`)...)
		}
	}
	for seed := range uint64(30) {
		random := rand.New(rand.NewPCG(seed, 0))
		c, l := alone(room)
		var buf, carry []byte
		for rest := stream; len(rest) > 0; {
			n := min(len(rest), 1+random.IntN(1<<random.IntN(17)))
			buf = append(append(buf[:0], carry...), rest[:n]...)
			left, err := c.handle(buf, 1000)
			if err != nil {
				t.Fatal(seed, err)
			}
			carry, rest = append(carry[:0], left...), rest[n:]
		}
		if len(carry) != 0 || l.counts.Delivered != frames || l.counts.Acked != frames/5 || l.counts.Holes != 0 || l.delivery.Count() != frames {
			t.Fatalf("seed %d: %+v, %d timed, %d left", seed, l.counts, l.delivery.Count(), len(carry))
		}
	}
}

// alone is a socket that has joined a room, without a connection.
func alone(room Room) (*Conn, *loop) {
	l := &loop{fleet: &Fleet{began: time.Now()}}
	c := newConn(l, Seat{Rooms: []Room{room}})
	c.upgraded, c.places[0].next = true, 1
	return c, l
}

func TestWhatIsMissingOrDoubleIsAHole(t *testing.T) {
	for name, test := range map[string]struct {
		seqs  []int64
		holes int64
	}{
		"in order": {[]int64{1, 2, 3}, 0},
		"one lost": {[]int64{1, 3, 4}, 1},
		"a double": {[]int64{1, 2, 2, 3}, 1},
		"late":     {[]int64{1, 3, 2}, 2},
	} {
		c, l := alone(3)
		for _, seq := range test.seqs {
			if _, err := c.handle(served(message(3, seq, 1, "")), 2); err != nil {
				t.Fatal(err)
			}
		}
		if l.counts.Holes != test.holes || l.counts.Delivered != int64(len(test.seqs)) {
			t.Errorf("%s: %+v", name, l.counts)
		}
	}
	c, l := alone(3)
	if _, err := c.handle(served(message(4, 1, 1, "")), 2); err != nil || l.counts.Holes != 1 {
		t.Error("an event of a room that it is not in:", l.counts, err)
	}
}

func TestAJoinThatIsUnavailableIsTriedAgain(t *testing.T) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _, _ = unix.Close(fds[0]), unix.Close(fds[1]) }()
	c, l := alone(7)
	c.fd, c.waiting, c.places[0].next = fds[0], 1, 42
	if _, err = c.handle(served(`{"type":"error","id":0,"code":"unavailable","message":"later"}`), 1); err != nil || l.counts.Retried != 1 {
		t.Fatal(err, l.counts)
	}
	buf := make([]byte, 500)
	n, err := unix.Read(fds[1], buf)
	if want := `{"type":"join","id":0,"room":"bench-7","limit":1,"after":41}`; err != nil || !bytes.HasSuffix(buf[:n], []byte(want)) {
		t.Errorf("%q, %v", buf[:n], err)
	}
	if _, err := c.handle(served(`{"type":"error","id":0,"code":"forbidden","message":"no"}`), 1); err == nil {
		t.Error("a refusal was taken")
	}
	for i := range joinTries + 1 {
		if _, err := c.handle(served(`{"type":"error","id":0,"code":"unavailable","message":"later"}`), 1); err != nil {
			if i < joinTries-2 {
				t.Error("gave up after", i)
			}
			return
		}
	}
	t.Error("never gave up")
}

func TestFramesThatNoServerSendsAreRefused(t *testing.T) {
	for name, b := range map[string][]byte{
		"in pieces": {0x01, 0x01, 'x'}, "masked": {opText, 0x81, 0, 0, 0, 0, 'x'}, "reserved bits": {0xc1, 0x00},
		"far too large": {opText, 127, 0, 0, 0, 1, 0, 0, 0, 0}, "a length below 0": {opText, 127, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
	} {
		if _, _, _, err := firstFrame(b); err == nil {
			t.Error(name, "is taken")
		}
	}
}

func TestASendIsWhatTheContractWants(t *testing.T) {
	for _, size := range []int{20, 120, 3500} {
		frame := appendSend([]byte("before"), 12, 34567, size, "abc", 99)[len("before"):]
		head := 6
		if frame[1]&0x7f == 126 {
			head = 8
		}
		if frame[0] != opText || !bytes.Equal(frame[head-4:head], make([]byte, 4)) {
			t.Fatalf("%x", frame[:head])
		}
		var got struct {
			Type, Room, Body, Nonce string
			ID                      int64
		}
		if err := json.Unmarshal(frame[head:], &got); err != nil {
			t.Fatal(err)
		}
		if got.Type != "send" || got.Room != "bench-12" || got.ID != 34567 || len(got.Body) != size || !strings.HasPrefix(got.Body, "@34567 ") || got.Nonce != "abc2r" {
			t.Errorf("%+v, %d bytes", got, len(got.Body))
		}
	}
	room, seq, due, ok := readMessage([]byte(message(12, 345, 67890, "")))
	if room != 12 || seq != 345 || due != 67890 || !ok {
		t.Error(room, seq, due, ok)
	}
}

func TestTheScheduleOwesNothingToWhatHappened(t *testing.T) {
	s := Schedule{From: 1000, PerSecond: 3, For: 10 * time.Second}
	if s.Count() != 30 || s.Due(0) != 1000 || s.Due(3) != 1000+1e9 || s.Due(29) != 1000+int64(29e9)/3 {
		t.Error(s.Count(), s.Due(0), s.Due(3), s.Due(29))
	}
}
