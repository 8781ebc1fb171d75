//go:build linux

package load

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strconv"
)

// Opcodes of RFC 6455, with the bit that says that the frame is the last of its message.
const (
	opText  = 0x81
	opClose = 0x88
	opPing  = 0x89
	opPong  = 0x8a
)

var errFrame = errors.New("not a frame as servers send them")

// firstFrame finds the first frame of b. A size of 0 says that b does not hold all of it.
func firstFrame(b []byte) (op byte, payload []byte, size int, err error) {
	if len(b) < 2 {
		return 0, nil, 0, nil
	}
	if b[0]&0xf0 != 0x80 || b[1]&0x80 != 0 { // in pieces, reserved bits, masked
		return 0, nil, 0, errFrame
	}
	head, n := 2, uint64(b[1])
	switch {
	case n == 126 && len(b) >= 4:
		head, n = 4, uint64(binary.BigEndian.Uint16(b[2:]))
	case n == 127 && len(b) >= 10:
		head, n = 10, binary.BigEndian.Uint64(b[2:])
	case n >= 126:
		return 0, nil, 0, nil
	}
	if n > readBuffer/2 {
		return 0, nil, 0, errFrame
	}
	size = head + int(n)
	if size > len(b) {
		return 0, nil, 0, nil
	}
	return b[0], b[head:size], size, nil
}

// appendFrame appends a frame as clients send them. The mask is 0: the server has the same work, and we
// have none.
func appendFrame(dst []byte, op byte, payload []byte) []byte {
	dst = append(dst, op)
	if n := len(payload); n < 126 {
		dst = append(dst, 0x80|byte(n))
	} else {
		dst = append(dst, 0x80|126)
		dst = binary.BigEndian.AppendUint16(dst, uint16(n)) //nolint:gosec // our own frames are short
	}
	return append(append(dst, 0, 0, 0, 0), payload...)
}

// appendSend appends a send. Its id is the time it was due at, and so starts the body, which is padded
// to so many bytes.
func appendSend(dst []byte, room Room, due int64, body int, nonce string, number int64) []byte {
	var b [512]byte
	p := append(b[:0], `{"type":"send","id":`...)
	p = strconv.AppendInt(p, due, 10)
	p = append(p, `,"room":"`+RoomPrefix...)
	p = strconv.AppendInt(p, int64(room), 10)
	p = append(p, `","nonce":"`...)
	p = append(p, nonce...)
	p = strconv.AppendInt(p, number, 36)
	p = append(p, `","body":"@`...)
	start := len(p) - 1
	p = strconv.AppendInt(p, due, 10)
	p = append(p, ' ')
	for len(p)-start < body {
		p = append(p, filling[:min(len(filling), body-(len(p)-start))]...)
	}
	p = append(p, `"}`...)
	return appendFrame(dst, opText, p)
}

const filling = "So many words are said in rooms where people meet, and most of them are short. "

// The first bytes of the frames that count.
const (
	isMessage = `{"type":"message","room":"` + RoomPrefix
	isSent    = `{"type":"sent","id":`
	isError   = `{"type":"error"`
	isJoined  = `{"type":"joined","id":`
)

// readMessage reads what counts of a message event. A due of 0: it was not sent by a Fleet.
func readMessage(p []byte) (room Room, seq, due int64, ok bool) {
	const beforeSeq, beforeDue = `","seq":`, `"body":"@`
	p = p[len(isMessage):]
	number, p := digits(p)
	if !bytes.HasPrefix(p, []byte(beforeSeq)) {
		return 0, 0, 0, false
	}
	seq, p = digits(p[len(beforeSeq):])
	if at := bytes.Index(p, []byte(beforeDue)); at >= 0 {
		due, _ = digits(p[at+len(beforeDue):])
	}
	return Room(number), seq, due, true //nolint:gosec // a number that we gave
}

// digits reads the number that p starts with.
func digits(p []byte) (n int64, rest []byte) {
	i := 0
	for ; i < len(p) && p[i]-'0' <= 9; i++ {
		n = n*10 + int64(p[i]-'0')
	}
	return n, p[i:]
}

// after reads the number behind name, 0 if it is not there.
func after(p []byte, name string) int64 {
	at := bytes.Index(p, []byte(name))
	if at < 0 {
		return 0
	}
	n, _ := digits(p[at+len(name):])
	return n
}
