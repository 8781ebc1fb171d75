package stream

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"reflect"
	"strconv"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/parley-chat/parley/pkg/chat"
)

// Whatever stands in a stream, an entry that is taken from it can go out: it has a seq, and its event
// and state are JSON objects of one line. What a publisher made of an entry is that entry.
func FuzzEntry(f *testing.F) {
	client := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1"})
	f.Cleanup(func() { _ = client.Close() })
	f.Fuzz(func(t *testing.T, id, kind, message, at, event, state string) {
		values := map[string]any{}
		for name, value := range map[string]string{fieldKind: kind, fieldMessage: message, fieldAt: at, fieldEvent: event, fieldState: state, fieldTrace: kind, "from the future": id} {
			if value != "" {
				values[name] = value
			}
		}
		e, ok := decode(id, values)
		if !ok {
			return
		}
		if e.Seq < 1 || e.Seq > chat.MaxSeq || e.Message < 0 || e.Message > chat.MaxSeq || e.Kind != kind {
			t.Fatalf("%q %v: %+v", id, values, e)
		}
		if !oneLine(e.Event) || e.State != nil && !oneLine(e.State) {
			t.Fatalf("can't go out: %q %q", e.Event, e.State)
		}
		pipe := client.Pipeline()
		add(t.Context(), pipe, Room{"t", "l"}, &e)
		if again, ok := decode(written(pipe.Cmds()[0])); len(e.Event)+len(e.State) <= 2*maxCarriedBytes && (!ok || !reflect.DeepEqual(again, e)) {
			t.Errorf("%+v came back as %+v %v", e, again, ok)
		} else if len(e.Event)+len(e.State) > 2*maxCarriedBytes && ok {
			t.Errorf("too large, and carried: %+v", again)
		}
	})
}

func oneLine(raw json.RawMessage) bool {
	var object map[string]json.RawMessage
	return json.Unmarshal(raw, &object) == nil && object != nil && !bytes.ContainsAny(raw, "\r\n")
}

// written is an XADD as a reader gets it from Redis, which keeps everything as text.
func written(command redis.Cmder) (id string, values map[string]any) {
	args := command.Args()
	values = map[string]any{}
	at := 0
	for i, arg := range args {
		if text, ok := arg.(string); ok && i > 1 && at == 0 && len(text) > 2 && text[len(text)-2:] == "-0" {
			id, at = text, i+1
		}
	}
	for ; at+1 < len(args); at += 2 {
		value, ok := args[at+1].([]byte)
		if !ok {
			value = []byte(fmt.Sprint(args[at+1]))
		}
		values[fmt.Sprint(args[at])] = string(value)
	}
	return id, values
}

// listener notes the last that it heard.
type listener struct {
	calls   int
	seq     chat.Seq
	kind    byte
	payload string
}

func (l *listener) Notified(_ Room, seq chat.Seq) { l.calls, l.seq = l.calls+1, seq }
func (l *listener) Signalled(_ Room, kind byte, payload string) {
	l.calls, l.kind, l.payload = l.calls+1, kind, payload
}

// What is published on a bell's channel rings it with a seq, or is a signal, or nothing.
func FuzzBell(f *testing.F) {
	f.Fuzz(func(t *testing.T, payload string) {
		heard, room := &listener{}, Room{"t", "l"}
		bells := NewNotifications(nil, heard, slog.New(slog.DiscardHandler))
		bells.rooms[room.Key("bell")] = &subscription{room: room, confirmed: make(chan struct{})}
		l := &receiver{}
		bells.at[room.partition()] = l
		for other, channel := range map[*receiver]string{l: "another", {}: room.Key("bell")} {
			if err := bells.handle(other, &redis.Message{Channel: channel, Payload: payload}); err != nil || heard.calls != 0 {
				t.Fatal("heard another room's bell, or on another receiver", err)
			}
		}
		if err := bells.handle(l, &redis.Message{Channel: room.Key("bell"), Payload: payload}); err != nil {
			t.Fatal(err)
		}
		n, err := strconv.ParseInt(payload, 10, 64)
		rings := err == nil && n >= 0 && n <= chat.MaxSeq && payload[0] >= '0' && payload[0] <= '9'
		signals := payload != "" && (payload[0] < '0' || payload[0] > '9')
		switch {
		case rings && (heard.calls != 1 || heard.seq != chat.Seq(n)),
			signals && (heard.calls != 1 || string(heard.kind)+heard.payload != string(payload[0])+payload[1:]),
			!rings && !signals && heard.calls != 0:
			t.Errorf("%q: %+v", payload, heard)
		}
	})
}
