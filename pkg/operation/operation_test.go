package operation

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/wire"
)

// emphasis are the arguments of an operation with fields of its own, as one of tomorrow has them.
type emphasis struct {
	Style string `json:"style"`
	On    bool   `json:"on"`
}

func (e emphasis) Check() error {
	if e.Style == "" {
		return chat.Errorf(chat.CodeBadRequest, `"style" is missing`)
	}
	return nil
}

func emphasize() *Operation {
	return &Operation{
		Name: "emphasize", Entry: "emphasized", Answer: AnswerOK,
		Fields:    []Field{{FieldMessage, true}, {"style", true}, {"on", true}},
		arguments: ArgumentsOf[emphasis],
	}
}

func read(t *testing.T, o *Operation, frame string) (Request, error) {
	t.Helper()
	c, err := wire.DecodeCommand([]byte(frame))
	if err != nil {
		t.Fatal(err)
	}
	return o.Read(c, []byte(frame))
}

func TestEveryNameIsFoundOnce(t *testing.T) {
	seen := map[Name]bool{}
	for _, o := range All {
		if Find(o.Name) != o || seen[o.Name] || Label(o.Name) != string(o.Name) || o.Entry == "" || len(o.Routes) == 0 {
			t.Errorf("%+v", o)
		}
		seen[o.Name] = true
	}
	if Find("shout") != nil || Label("shout") != "other" {
		t.Error("a name that is not in the table is found")
	}
}

func TestARequestHasTheFieldsOfItsOperationAlone(t *testing.T) {
	frame := `{"type":"x","body":"hi","nonce":"n","reply_to":1,"message":2,"style":"bold","on":true}`
	for o, want := range map[*Operation]Request{
		&Send:       {Body: "hi", Nonce: "n", ReplyTo: 1},
		&Edit:       {Body: "hi", Nonce: "n", Message: 2},
		&Delete:     {Nonce: "n", Message: 2},
		emphasize(): {Message: 2, Arguments: json.RawMessage(`{"style":"bold","on":true}`)},
	} {
		got, err := read(t, o, frame)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v, want %+v", o.Name, got, err, want)
		}
		var fields map[string]json.RawMessage
		if err = wire.Decode([]byte(frame), &fields); err != nil {
			t.Fatal(err)
		}
		if got, err = o.ReadFields(fields); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s by its fields: %+v, %v, want %+v", o.Name, got, err, want)
		}
	}
	if _, err := Edit.ReadFields(map[string]json.RawMessage{"body": json.RawMessage("1")}); chat.CodeOf(err) != chat.CodeBadRequest {
		t.Error("a body that is a number:", err)
	}
	if _, err := Edit.ReadFields(map[string]json.RawMessage{"limit": json.RawMessage(`"x"`)}); err != nil {
		t.Error("another operation's field is looked at:", err)
	}
}

func TestChecks(t *testing.T) {
	long := strings.Repeat("x", chat.MaxBodyBytes+1)
	for _, c := range []struct {
		o    *Operation
		r    Request
		want chat.Code
	}{
		{&Send, Request{Body: "hi", Nonce: "n"}, ""},
		{&Send, Request{Body: "hi", Nonce: "n", ReplyTo: 7}, ""},
		{&Send, Request{Body: "hi"}, chat.CodeBadRequest},
		{&Send, Request{Body: " ", Nonce: "n"}, chat.CodeBadRequest},
		{&Send, Request{Body: long, Nonce: "n"}, chat.CodeTooLarge},
		{&Send, Request{Body: "hi", Nonce: "n", ReplyTo: -1}, chat.CodeNotFound},
		{&Send, Request{Body: "hi", Nonce: "n", ReplyTo: chat.MaxSeq + 1}, chat.CodeNotFound},
		{&Edit, Request{Body: "hi", Message: 1}, ""},
		{&Edit, Request{Body: "hi"}, chat.CodeBadRequest},
		{&Edit, Request{Body: "hi", Message: -1}, chat.CodeNotFound},
		{&Edit, Request{Body: "hi", Message: chat.MaxSeq + 1}, chat.CodeNotFound},
		{&Edit, Request{Body: "", Message: 1}, chat.CodeBadRequest},
		{&Edit, Request{Body: "hi", Message: 1, Nonce: "a\x00"}, chat.CodeBadRequest},
		{&Delete, Request{Message: 1}, ""},
		{&Delete, Request{}, chat.CodeBadRequest},
		{&Delete, Request{Message: 1, Nonce: strings.Repeat("n", 65)}, chat.CodeBadRequest},
		{emphasize(), Request{Message: 1, Arguments: json.RawMessage(`{"style":"bold","on":true}`)}, ""},
		{emphasize(), Request{Message: 1, Arguments: json.RawMessage(`{"style":"","on":true}`)}, chat.CodeBadRequest},
		{emphasize(), Request{Message: 1, Arguments: json.RawMessage(`{"on":true,"style":"bold"}`)}, chat.CodeBadRequest}, // another form has another fingerprint
		{emphasize(), Request{Message: 1}, chat.CodeBadRequest},
	} {
		if got := chat.CodeOf(c.o.Check(c.r)); got != c.want {
			t.Errorf("%s %+v: %q, want %q", c.o.Name, c.r, got, c.want)
		}
	}
}

func TestRequestsCountForTheirBytes(t *testing.T) {
	if got := (Request{Body: "1234", Nonce: "n", Arguments: json.RawMessage(`{}`)}).Cost(); got != 6 {
		t.Error(got)
	}
}

func TestFramesThatAnswer(t *testing.T) {
	id := int64(4)
	for answer, want := range map[Answer]string{
		AnswerSent: `{"type":"sent","id":4,"room":"general","message":58}`,
		AnswerOK:   `{"type":"ok","id":4,"seq":58}`,
	} {
		got, err := json.Marshal(answer.Frame(&id, "general", 58))
		if err != nil || string(got) != want {
			t.Errorf("%s: %s, %v", answer, got, err)
		}
	}
}
