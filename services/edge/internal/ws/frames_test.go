package ws

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"runtime"
	"strings"
	"testing"
)

// pieces is a connection that hands out what it holds a few bytes at a time.
type pieces struct {
	net.Conn

	left []byte
	size func() int
}

func (p *pieces) Read(into []byte) (int, error) {
	if len(p.left) == 0 {
		return 0, io.EOF
	}
	n := copy(into, p.left[:min(len(p.left), max(1, p.size()))])
	p.left = p.left[n:]
	return n, nil
}

// appendFrame appends a frame as clients write them.
func appendFrame(dst []byte, first byte, payload string) []byte {
	mask := [4]byte{7, 99, 200, byte(len(payload))}
	dst = append(dst, first)
	switch n := len(payload); {
	case n < 126:
		dst = append(dst, 0x80|byte(n))
	case n < 1<<16:
		dst = binary.BigEndian.AppendUint16(append(dst, 0x80|126), uint16(n))
	default:
		dst = binary.BigEndian.AppendUint64(append(dst, 0x80|127), uint64(n))
	}
	dst = append(dst, mask[:]...)
	for i := range len(payload) {
		dst = append(dst, payload[i]^mask[i%4])
	}
	return dst
}

// read returns all messages, and what ended them.
func read(stream []byte, limit int, early int, size func() int) (got []string, end error) {
	early = max(0, min(early, len(stream)))
	m := messages{early: bytes.Clone(stream[:early]), conn: &pieces{left: bytes.Clone(stream[early:]), size: size}, limit: limit, counted: func() bool { return true }}
	for {
		kind, payload, err := m.next()
		if err != nil {
			return got, err
		}
		got = append(got, fmt.Sprint(kind, " ", string(payload)))
	}
}

func TestMessagesComeWholeHoweverTheyAreCut(t *testing.T) {
	const limit = 20_000
	random := rand.New(rand.NewPCG(1, 2))
	for round := range 300 {
		var stream []byte
		var want []string
		wantEnd := io.EOF
		for range 1 + random.IntN(8) {
			body := strings.Repeat("añb", random.IntN([]int{3, 60, 200, 3000, 8000}[random.IntN(5)]+1))
			code := byte(text)
			if random.IntN(8) == 0 {
				code = byte(binaryData)
			}
			rest := body
			first := code
			for len(body) <= limit && random.IntN(3) == 0 { // in fragments, with control frames in between
				n := random.IntN(len(rest) + 1)
				stream = appendFrame(stream, first, rest[:n])
				rest, first = rest[n:], byte(continuation)
				if random.IntN(2) == 0 {
					stream = appendFrame(stream, 0x80|byte(ping), "are you there")
					want = append(want, fmt.Sprint(ping, " are you there"))
				}
			}
			stream = appendFrame(stream, 0x80|first, rest)
			if len(body) > limit {
				wantEnd = errTooLarge
				break
			}
			want = append(want, fmt.Sprint(opcode(code), " ", body))
		}
		most := []int{1, 3, 100, 700, 1 << 20}[round%5]
		got, end := read(stream, limit, random.IntN(2)*random.IntN(1000), func() int { return 1 + random.IntN(most) })
		if !errors.Is(end, wantEnd) || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("round %d: %v, got %.200q, want %.200q", round, end, got, want)
		}
	}
}

func TestWhatNoClientMaySendEndsTheSocket(t *testing.T) {
	for name, stream := range map[string][]byte{
		"unmasked":                    {0x81, 0x02, 'h', 'i'},
		"reserved bits":               appendFrame(nil, 0xc1, "hi"),
		"opcode 3":                    appendFrame(nil, 0x83, "hi"),
		"opcode 11":                   appendFrame(nil, 0x8b, "hi"),
		"continuation of nothing":     appendFrame(nil, 0x80, "hi"),
		"message within a message":    appendFrame(appendFrame(nil, 0x01, "hi"), 0x81, "hi"),
		"ping in fragments":           appendFrame(nil, 0x09, "hi"),
		"long ping":                   appendFrame(nil, 0x89, strings.Repeat("x", 126)),
		"a length beyond all lengths": {0x81, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4},
	} {
		if got, end := read(append(appendFrame(nil, 0x81, "before"), stream...), 1000, 0, func() int { return 1 << 10 }); !errors.Is(end, errProtocol) || len(got) != 1 {
			t.Errorf("%s: %v, %q", name, end, got)
		}
	}
}

// Who announces much and sends little holds little.
func TestAnAnnouncedLengthReservesNothing(t *testing.T) {
	stream := []byte{0x81, 0xff, 0, 0, 0, 0, 0x3f, 0xff, 0xff, 0xff, 1, 2, 3, 4, 'x'}
	m := messages{conn: &pieces{left: stream, size: func() int { return 100 }}, limit: 1 << 30, counted: func() bool { return true }}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, _, err := m.next()
	runtime.ReadMemStats(&after)
	if held := after.TotalAlloc - before.TotalAlloc; !errors.Is(err, io.EOF) || held > 1<<20 {
		t.Error("reserved", held, err)
	}
}

// Each frame and fragment is counted, whatever its kind and however short it is.
func TestEveryFrameIsCounted(t *testing.T) {
	var fragments []byte
	for range 10 {
		fragments = appendFrame(fragments, byte(continuation), "")
	}
	for name, stream := range map[string][]byte{
		"pings":     bytes.Repeat(appendFrame(nil, 0x89, "are you there"), 10),
		"pongs":     bytes.Repeat(appendFrame(nil, 0x8a, ""), 10),
		"messages":  bytes.Repeat(appendFrame(nil, 0x81, "hi"), 10),
		"fragments": append(appendFrame(nil, byte(text), ""), fragments...),
	} {
		counted := 0
		m := messages{conn: &pieces{left: stream, size: func() int { return 100 }}, limit: 1000, counted: func() bool { counted++; return counted <= 5 }}
		var err error
		for err == nil {
			_, _, err = m.next()
		}
		if !errors.Is(err, errFlooding) || counted != 6 {
			t.Errorf("%s: %v after %d", name, err, counted)
		}
	}
}

func TestAMessageInManySmallFragmentsIsFlooding(t *testing.T) {
	cut := func(size, fragments int) []byte {
		stream := appendFrame(nil, byte(text), strings.Repeat("x", size))
		for range fragments {
			stream = appendFrame(stream, byte(continuation), strings.Repeat("x", size))
		}
		return appendFrame(stream, 0x80, "")
	}
	const limit = 1 << 20
	all := func() int { return 1 << 20 }
	for _, size := range []int{0, 1, smallFragment - 1} {
		if got, err := read(cut(size, maxSmall), limit, 0, all); !errors.Is(err, errFlooding) || len(got) != 0 {
			t.Errorf("%d fragments of %d bytes: %v", maxSmall+1, size, err)
		}
		few := cut(size, maxSmall-1)
		if got, err := read(append(few, few...), limit, 0, all); !errors.Is(err, io.EOF) || len(got) != 2 {
			t.Errorf("%d fragments of %d bytes: %v", maxSmall, size, err)
		}
	}
	if got, err := read(cut(smallFragment, 10*maxSmall), limit, 0, all); !errors.Is(err, io.EOF) || len(got) != 1 {
		t.Error("fragments that are not small:", err)
	}
}

// A message that is too long is refused as it begins: its end may never come.
func TestATooLongMessageIsRefusedAtOnce(t *testing.T) {
	for name, stream := range map[string][]byte{
		"whole":        appendFrame(nil, 0x81, strings.Repeat("x", 2000))[:20],
		"in fragments": append(appendFrame(nil, byte(text), strings.Repeat("x", 900)), appendFrame(nil, byte(continuation), strings.Repeat("x", 900))[:20]...),
	} {
		if _, err := read(stream, 1000, 0, func() int { return 1 << 20 }); !errors.Is(err, errTooLarge) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzMessages(f *testing.F) {
	f.Add(appendFrame(appendFrame(nil, 0x01, `{"type":`), 0x80, `"typing"}`), 3)
	f.Add(appendFrame(appendFrame(nil, 0x89, "ping"), 0x88, "\x03\xe8bye"), 1)
	f.Add(appendFrame(appendFrame(nil, 0x81, strings.Repeat("long", 500)), 0x82, "binary"), 100)
	f.Add([]byte{0x81, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4}, 2)
	f.Fuzz(func(t *testing.T, stream []byte, size int) {
		whole, wholeEnd := read(stream, 1000, 0, func() int { return len(stream) })
		cut, cutEnd := read(stream, 1000, size, func() int { return 1 + max(0, size%1000) })
		if fmt.Sprint(whole, wholeEnd) != fmt.Sprint(cut, cutEnd) {
			t.Errorf("whole %q %v, cut %q %v", whole, wholeEnd, cut, cutEnd)
		}
		for _, message := range whole {
			if len(message) > 1000+10 {
				t.Errorf("a message of %d bytes", len(message))
			}
		}
	})
}
