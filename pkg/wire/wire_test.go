package wire

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/parley-chat/parley/pkg/chat"
)

func TestDecodeCommandRefusesBadInput(t *testing.T) {
	for name, frame := range map[string]string{
		"empty":              ``,
		"not json":           `{"type":`,
		"array":              `[1]`,
		"number":             `12`,
		"two values":         `{"type":"join"}{"type":"join"}`,
		"no type":            `{"id":1}`,
		"wrong type of type": `{"type":7}`,
		"wrong type of room": `{"type":"join","room":7}`,
		"wrong type of id":   `{"type":"join","id":"one"}`,
		"fraction":           `{"type":"join","after":1.5}`,
		"too big":            `{"type":"join","after":99999999999999999999}`,
		"invalid utf-8":      "{\"type\":\"send\",\"body\":\"\xff\"}",
		"lone surrogate":     `{"type":"send","body":"\ud800"}`,
		"lone low":           `{"type":"send","body":"\udc00x"}`,
		"swapped pair":       `{"type":"send","body":"\udc00\ud800"}`,
		"half a pair":        `{"type":"send","body":"\ud83d\u0041"}`,
		"deep":               `{"type":"join","x":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `}`,
	} {
		if _, err := DecodeCommand([]byte(frame)); chat.CodeOf(err) != chat.CodeBadRequest {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestDecodeCommandKeepsTheIDOfABadOne(t *testing.T) {
	for _, frame := range []string{`{"type":"join","room":7,"id":41}`, `{"id":41,"type":"join","after":"x"}`, `{"type":"send","id":41,"body":"\ud800"}`} {
		c, err := DecodeCommand([]byte(frame))
		if err == nil || c.ID == nil || *c.ID != 41 {
			t.Errorf("%s: %+v %v", frame, c, err)
		}
	}
	if c, err := DecodeCommand([]byte(`{"type":"join","id":"one"}`)); err == nil || c.ID != nil {
		t.Errorf("an ID that is no number: %+v %v", c, err)
	}
}

func TestDecodeCommandTakesGoodInput(t *testing.T) {
	c, err := DecodeCommand([]byte(` {"type":"send","id":4,"room":"general","body":"\ud83d\ude00 \\ud800 [[[{{{","nonce":"n","new_field":{"a":[1]}}`))
	if err != nil || c.Body != "😀 \\ud800 [[[{{{" || *c.ID != 4 || c.Room != "general" {
		t.Errorf("%+v %v", c, err)
	}
	c, err = DecodeCommand([]byte(`{"type":"join","room":"a","after":0}`))
	if err != nil || c.After == nil || *c.After != 0 || c.Limit != nil {
		t.Errorf("%+v %v", c, err)
	}
}

func TestNamesAreTakenExactly(t *testing.T) {
	for frame, want := range map[string]string{
		`{"type":"send","body":"real","Body":"shadow"}`:               "real",
		`{"type":"send","BODY":"shadow","x":["Body","{"],"body":"r"}`: "r",
		`{"type":"send","\u0062ody":"escaped"}`:                       "escaped",
		`{"type":"send","body":"a","Key":{"body":"inner"}}`:           "a",
	} {
		if c, err := DecodeCommand([]byte(frame)); err != nil || c.Body != want {
			t.Errorf("%s: %q %v", frame, c.Body, err)
		}
	}
	if _, err := DecodeCommand([]byte(`{"TYPE":"members"}`)); chat.CodeOf(err) != chat.CodeBadRequest {
		t.Error("TYPE was taken for type")
	}
}

func TestJoinedShowsEmptyListsButNotAbsentOnes(t *testing.T) {
	got, _ := json.Marshal(Joined{Type: "joined", Messages: []json.RawMessage{}})
	if !bytes.Contains(got, []byte(`"messages":[]`)) || bytes.Contains(got, []byte(`"events"`)) || bytes.Contains(got, []byte(`member`)) {
		t.Error(string(got))
	}
}

func TestEventReadsBothFormsOfMessage(t *testing.T) {
	for _, frame := range []string{
		`{"type":"message","room":"a","seq":3,"message":{"id":3,"author":{"id":"u","name":"U","kind":"user"},"body":"hi","sent_at":"2026-01-02T03:04:05.678Z"}}`,
		`{"type":"deleted","room":"a","seq":4,"message":3}`,
		`{"type":"notice","room":"a","seq":5,"text":"x"}`,
	} {
		var e Event
		if err := json.Unmarshal([]byte(frame), &e); err != nil {
			t.Fatal(err)
		}
		if again, err := json.Marshal(e); err != nil || string(again) != frame {
			t.Errorf("%s\n%s %v", frame, again, err)
		}
	}
}

func TestFramesOfEveryLength(t *testing.T) {
	for _, n := range []int{0, 125, 126, 65535, 65536} {
		got := AppendText(nil, bytes.Repeat([]byte("x"), n))
		header := 2
		if n >= 126 {
			header = 4
		}
		if n >= 65536 {
			header = 10
		}
		if got[0] != 0x81 || len(got) != header+n {
			t.Error(n, got[:2], len(got))
		}
	}
	if got := AppendClose(nil, CloseSlowReader); got[0] != 0x88 || got[2] != 4408>>8 || got[3] != 4408&0xff || len(got) > 127 {
		t.Error(got)
	}
}
