package roomsapi_test

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/parley-chat/parley/pkg/operation"
	"github.com/parley-chat/parley/pkg/roomsapi"
)

// Edges and rooms of two releases call each other: what an append is on the wire stays.
func TestAnAppendOnTheWire(t *testing.T) {
	for text, want := range map[string]roomsapi.Append{
		`{"token":"t","room":7,"kind":"send","nonce":"n","body":"hi","reply_to":3,"traceparent":"p"}`: {
			Token: "t", Room: 7, Kind: operation.NameSend, Request: operation.Request{Nonce: "n", Body: "hi", ReplyTo: 3}, Traceparent: "p",
		},
		`{"token":"t","room":7,"kind":"delete","message":5}`: {
			Token: "t", Room: 7, Kind: operation.NameDelete, Request: operation.Request{Message: 5},
		},
		`{"token":"t","room":7,"kind":"other","args":{"on":true}}`: {
			Token: "t", Room: 7, Kind: "other", Request: operation.Request{Arguments: json.RawMessage(`{"on":true}`)},
		},
	} {
		var got roomsapi.Append
		if err := json.Unmarshal([]byte(text), &got); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
		if written, err := json.Marshal(want); err != nil || string(written) != text {
			t.Errorf("%s, %v, want %s", written, err, text)
		}
	}
}
