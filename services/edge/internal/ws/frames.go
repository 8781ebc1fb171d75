package ws

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"time"
)

// opcode is what a frame is: those of RFC 6455.
type opcode byte

const (
	continuation opcode = 0x0
	text         opcode = 0x1
	binaryData   opcode = 0x2
	closing      opcode = 0x8
	ping         opcode = 0x9
	pong         opcode = 0xa
)

// Sizes of reading, in bytes. A socket that is silent holds no more than its smallBuffer.
const (
	smallBuffer = 320     // a send of a line or two
	pageBytes   = 4 << 10 // a message grows by this as it comes, whatever length it claims to have
	maxControl  = 125

	// A message may come in fragments of any size, and in so many small ones: each costs as much as a message.
	smallFragment = 512
	maxSmall      = 64
)

var (
	errTooLarge = errors.New("message too large")
	// errFlooding says that more frames came than a client may send.
	errFlooding = errors.New("flooding")
	// errProtocol says that what came is no WebSocket frame of a client: the connection is of no use any more.
	errProtocol = errors.New("not the WebSocket protocol")
)

// messages reads the messages of one client: frames that are masked, whole or in fragments, with control
// frames in between. It holds next to nothing while none comes, since idle sockets are many.
type messages struct {
	conn  net.Conn
	early []byte // came before conn's next byte
	limit int    // bytes of a message; a longer one is errTooLarge

	// counted is asked for each frame and fragment, whatever its kind; false is errFlooding.
	counted func() bool

	buffer   [smallBuffer]byte
	from, to int // what of buffer has been read and not been taken

	fragments []byte // of the message that has begun
	opcode    opcode // continuation: none has
	small     int    // small fragments of it
}

type header struct {
	kind   opcode
	final  bool
	mask   [4]byte
	length int64
}

// next returns the next message or control frame. Its payload is good until next is called again. After an
// error, only drain may be called.
func (m *messages) next() (opcode, []byte, error) {
	for {
		h, err := m.header()
		if err != nil {
			return 0, nil, err
		}
		if !m.counted() {
			return 0, nil, errFlooding
		}
		if h.kind >= closing {
			var payload []byte
			payload, err = m.payload(nil, h)
			return h.kind, payload, err
		}
		if h.kind != continuation {
			m.opcode = h.kind
		}
		if int64(len(m.fragments))+h.length > int64(m.limit) {
			return 0, nil, errTooLarge
		}
		payload, err := m.payload(m.fragments, h)
		if err != nil {
			return 0, nil, err
		}
		if h.final {
			kind := m.opcode
			m.opcode, m.fragments, m.small = continuation, nil, 0
			return kind, payload, nil
		}
		if err := m.keep(payload, h); err != nil {
			return 0, nil, err
		}
	}
}

// keep takes in a fragment that is not the last one: payload is the message as far as it has come with it.
func (m *messages) keep(payload []byte, h header) error {
	if h.length < smallFragment {
		if m.small++; m.small > maxSmall {
			return errFlooding
		}
	}
	if len(m.fragments) == 0 {
		payload = bytes.Clone(payload) // it may lie in the buffer
	}
	m.fragments = payload
	return nil
}

// drain reads on and forgets until the connection ends, so that a close frame is not lost to a reset: for a
// moment, and in pieces so large that a flood costs little.
func (m *messages) drain() {
	m.early, m.fragments = nil, nil
	if m.conn.SetReadDeadline(time.Now().Add(drainFor)) != nil {
		return
	}
	page := make([]byte, drainBytes)
	for {
		if _, err := m.conn.Read(page); err != nil {
			return
		}
	}
}

// Bounds of drain.
const (
	drainFor   = time.Second
	drainBytes = 32 << 10
)

// waits says that nothing of the next message has come yet, as far as is known.
func (m *messages) waits() bool { return m.from == m.to && len(m.early) == 0 }

// header reads what stands before a frame's payload and checks it against what a client may send. It is not
// gobwas/ws's ReadHeader, which allocates for each frame (414 ns and 16 bytes against 18 ns and none) and checks none
// of this.
func (m *messages) header() (h header, err error) {
	start, err := m.take(2)
	if err != nil {
		return h, err
	}
	h.kind, h.final = opcode(start[0]&0x0f), start[0]&0x80 != 0
	reserved, masked, length := start[0]&0x70, start[1]&0x80 != 0, start[1]&0x7f
	switch length {
	default:
		h.length = int64(length)
	case 126:
		var long []byte
		if long, err = m.take(2); err != nil {
			return h, err
		}
		h.length = int64(binary.BigEndian.Uint16(long))
	case 127:
		var long []byte
		if long, err = m.take(8); err != nil {
			return h, err
		}
		if h.length = int64(binary.BigEndian.Uint64(long)); h.length < 0 { //nolint:gosec // the sign is what is looked at
			return h, fmt.Errorf("%w: a length beyond 2^63", errProtocol)
		}
	}
	switch {
	case reserved != 0:
		return h, fmt.Errorf("%w: reserved bits", errProtocol)
	case !masked:
		return h, fmt.Errorf("%w: an unmasked frame", errProtocol)
	}
	switch h.kind {
	case continuation:
		if m.opcode == continuation {
			return h, fmt.Errorf("%w: a continuation of nothing", errProtocol)
		}
	case text, binaryData:
		if m.opcode != continuation {
			return h, fmt.Errorf("%w: a message within a message", errProtocol)
		}
	case closing, ping, pong:
		if !h.final || h.length > maxControl {
			return h, fmt.Errorf("%w: a control frame in fragments, or longer than %d bytes", errProtocol, maxControl)
		}
	default:
		return h, fmt.Errorf("%w: opcode %d", errProtocol, h.kind)
	}
	mask, err := m.take(len(h.mask))
	copy(h.mask[:], mask)
	return h, err
}

// payload reads a frame's payload and appends it to before. Where there is none before and all of it fits
// into the buffer, it stays there.
func (m *messages) payload(before []byte, h header) ([]byte, error) {
	if len(before) == 0 && h.length <= smallBuffer {
		payload, err := m.take(int(h.length))
		unmask(payload, h.mask)
		return payload, err
	}
	start, length := len(before), int(h.length)
	for read := 0; read < length; {
		before = append(before, make([]byte, min(length-read, pageBytes))...)
		for start+read < len(before) {
			n := copy(before[start+read:], m.buffer[m.from:m.to])
			m.from += n
			if n == 0 {
				var err error
				if n, err = m.read(before[start+read:]); err != nil {
					return nil, err
				}
			}
			read += n
		}
	}
	unmask(before[start:], h.mask)
	return before, nil
}

// take returns the next n bytes, smallBuffer at most, good until take is called again.
func (m *messages) take(n int) ([]byte, error) {
	if m.to-m.from < n && len(m.buffer)-m.from < n {
		m.to = copy(m.buffer[:], m.buffer[m.from:m.to])
		m.from = 0
	}
	for m.to-m.from < n {
		if m.from == m.to {
			m.from, m.to = 0, 0
		}
		read, err := m.read(m.buffer[m.to:])
		if err != nil {
			return nil, err
		}
		m.to += read
	}
	m.from += n
	return m.buffer[m.from-n : m.from], nil
}

func (m *messages) read(p []byte) (int, error) {
	if len(m.early) == 0 {
		return m.conn.Read(p)
	}
	n := copy(p, m.early)
	if m.early = m.early[n:]; len(m.early) == 0 {
		m.early = nil
	}
	return n, nil
}

// unmask is as fast as gobwas/ws's Cipher within a tenth of a microsecond a frame.
func unmask(payload []byte, mask [4]byte) {
	word := binary.LittleEndian.Uint32(mask[:])
	wide := uint64(word)<<32 | uint64(word)
	for ; len(payload) >= 8; payload = payload[8:] {
		binary.LittleEndian.PutUint64(payload, binary.LittleEndian.Uint64(payload)^wide)
	}
	for i := range payload {
		payload[i] ^= mask[i%4]
	}
}
