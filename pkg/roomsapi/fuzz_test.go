package roomsapi_test

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/operation"
	"github.com/parley-chat/parley/pkg/roomsapi"
	"github.com/parley-chat/parley/pkg/wire"
)

// A command is decoded twice: by the edge, from the client's frame, and by rooms, from what the edge
// made of it. Both must see the same, whatever it is, and rooms must take what the edge took.
func FuzzAppend(f *testing.F) {
	f.Fuzz(func(t *testing.T, frame []byte) {
		command, err := wire.DecodeCommand(frame)
		if err != nil {
			return
		}
		o := operation.Find(operation.Name(command.Type))
		if o == nil {
			return
		}
		request, err := o.Read(command, frame)
		if err != nil {
			return
		}
		sent := roomsapi.Append{Token: command.Token, Room: 7, Kind: o.Name, Request: request}
		content, err := json.Marshal(roomsapi.AppendRequest{Entries: []roomsapi.Append{sent}})
		if err != nil {
			t.Fatal(err)
		}
		var got roomsapi.AppendRequest
		if err := wire.Decode(content, &got); err != nil || len(got.Entries) != 1 || !reflect.DeepEqual(got.Entries[0], sent) {
			t.Fatalf("%q: the edge saw %+v, rooms %+v, %v", frame, sent, got, err)
		}
		// JSON makes six bytes of one at most: that is what the internal listener's limit counts on.
		if chat.CheckBody(sent.Body) == nil && chat.CheckNonce(sent.Nonce) == nil && len(content) > 6*(len(sent.Body)+len(sent.Nonce)+len(sent.Token)+len(sent.Kind))+200 {
			t.Errorf("%d bytes of a body of %d", len(content), len(sent.Body))
		}
	})
}
