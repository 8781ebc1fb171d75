package wire

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"runtime/metrics"
	"testing"
	"unicode/utf8"

	"github.com/parley-chat/parley/pkg/chat"
)

// allocated is how many bytes this process has ever asked for, about.
func allocated() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

// Whatever a stranger sends is understood as the contract says, or is a bad request whose answer still
// names the command; and what it costs is bounded by its size.
func FuzzDecodeCommand(f *testing.F) {
	f.Fuzz(func(t *testing.T, frame []byte) {
		before := allocated()
		c, err := DecodeCommand(frame)
		if spent := allocated() - before; spent > 4<<20+200*uint64(len(frame)) {
			t.Errorf("%d bytes cost %d of memory", len(frame), spent)
		}
		if err != nil {
			refused := chat.Public(err)
			if refused.Code != chat.CodeBadRequest || len(refused.Message) > 200 || !utf8.ValidString(refused.Message) {
				t.Fatalf("%q: %v", frame, err)
			}
			return
		}
		if nesting(frame) > MaxDepth {
			t.Errorf("%q nests too deep", frame)
		}
		again, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		if replaced := []byte("\ufffd"); bytes.Contains(again, replaced) && !bytes.Contains(frame, replaced) && !bytes.Contains(bytes.ToLower(frame), []byte(`\ufffd`)) {
			t.Errorf("%q -> %q: what was no text was replaced", frame, again)
		}
		d, err := DecodeCommand(again)
		if err != nil {
			t.Fatalf("%q -> %q: %v", frame, again, err)
		}
		if last, err := json.Marshal(d); err != nil || !bytes.Equal(again, last) {
			t.Fatalf("%q -> %q -> %q: %v", frame, again, last, err)
		}
		// Whoever reads along by the contract, names taken as they are, sees what we saw.
		var fields map[string]json.RawMessage
		if err := json.Unmarshal(frame, &fields); err != nil {
			t.Fatalf("%q was taken for JSON: %v", frame, err)
		}
		for name, got := range map[string]string{"type": c.Type, "room": string(c.Room), "body": c.Body, "nonce": c.Nonce, "token": c.Token, "log": string(c.Log)} {
			var want string
			raw, there := fields[name]
			if string(raw) == "null" {
				continue // no value; where there was one before it, that
			}
			if there && json.Unmarshal(raw, &want) != nil || want != got {
				t.Errorf("%q: %s is %q, by the contract %s", frame, name, got, raw)
			}
		}
	})
}

// nesting is how deep the brackets of valid JSON nest.
func nesting(data []byte) (deepest int) {
	now := 0
	for tokens := json.NewDecoder(bytes.NewReader(data)); ; {
		tokens.UseNumber()
		token, err := tokens.Token()
		switch token {
		case json.Delim('{'), json.Delim('['):
			now++
			deepest = max(deepest, now)
		case json.Delim('}'), json.Delim(']'):
			now--
		}
		if err != nil {
			return deepest
		}
	}
}

// What is framed for a socket comes out of it again, whatever stands before.
func FuzzFrames(f *testing.F) {
	f.Fuzz(func(t *testing.T, first, second []byte, code uint16) {
		written := AppendClose(AppendPong(AppendText(AppendPing(AppendText(nil, first)), second), second[:min(len(second), 125)]), CloseCode(code))
		for _, want := range []struct {
			opcode  byte
			payload []byte
		}{{opText, first}, {opPing, nil}, {opText, second}, {opPong, second[:min(len(second), 125)]}} {
			var opcode byte
			var payload []byte
			opcode, payload, written = unframe(t, written)
			if opcode != want.opcode || !bytes.Equal(payload, want.payload) {
				t.Fatalf("%x %q, want %x %q", opcode, payload, want.opcode, want.payload)
			}
		}
		opcode, payload, rest := unframe(t, written)
		if opcode != opClose || len(rest) != 0 || len(payload) > 125 || binary.BigEndian.Uint16(payload) != code || !utf8.Valid(payload[2:]) {
			t.Errorf("%x %q, then %q", opcode, payload, rest)
		}
	})
}

// unframe reads one unmasked, unfragmented frame as RFC 6455 has it.
func unframe(t *testing.T, data []byte) (opcode byte, payload, rest []byte) {
	t.Helper()
	if len(data) < 2 || data[0]&0xf0 != final || data[1] > 127 {
		t.Fatalf("no frame: %x", data[:min(len(data), 16)])
	}
	n, at := uint64(data[1]), 2
	switch n {
	case 126:
		n, at = uint64(binary.BigEndian.Uint16(data[2:])), 4
		if n < 126 {
			t.Fatalf("%d bytes are not told in the shortest form", n)
		}
	case 127:
		n, at = binary.BigEndian.Uint64(data[2:]), 10
		if n < 1<<16 {
			t.Fatalf("%d bytes are not told in the shortest form", n)
		}
	}
	return data[0] & 0xf, data[at : at+int(n)], data[at+int(n):]
}

// An event that is read and written again is read as the same.
func FuzzEvent(f *testing.F) {
	f.Fuzz(func(t *testing.T, frame []byte) {
		var event Event
		if json.Unmarshal(frame, &event) != nil || event.Message.SentAt.Year() > 9999 || event.Message.SentAt.Year() < 0 {
			return
		}
		again, err := json.Marshal(event)
		if err != nil {
			t.Fatalf("%q: %v", frame, err)
		}
		var second Event
		if err := json.Unmarshal(again, &second); err != nil {
			t.Fatalf("%q -> %q: %v", frame, again, err)
		}
		switch { // what has no number is no message, and what has no author is only its number
		case event.Message.ID == 0:
			event.Message = EventMessage{}
		case event.Message.Author.ID == "":
			event.Message = EventMessage{chat.Message{ID: event.Message.ID}}
		}
		if second.Type != event.Type || second.Room != event.Room || second.Seq != event.Seq || second.Text != event.Text ||
			second.Message.ID != event.Message.ID || second.Message.Author != event.Message.Author || second.Message.Body != event.Message.Body {
			t.Errorf("%q -> %q", frame, again)
		}
	})
}
