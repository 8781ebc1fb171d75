// Package wire holds the frames of Parley's WebSocket as PROTOCOL.md fixes them: what clients send,
// what servers answer, close codes, and the decoder that everything a stranger sends goes through.
package wire

import (
	"bytes"
	"errors"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/parley-chat/parley/pkg/chat"
)

// MaxDepth is how deep the JSON of a stranger may nest.
const MaxDepth = 16

// The types of frames that clients send, besides the names of pkg/operation.
const (
	TypeAuth    = "auth"
	TypeJoin    = "join"
	TypeLeave   = "leave"
	TypeHistory = "history"
	TypeTyping  = "typing"
	TypeMembers = "members"
)

// Command is a frame of a client. Fields that its Type does not use are ignored. ID is the client's
// number for the command, which its answer carries.
type Command struct {
	Type    string     `json:"type"`
	ID      *int64     `json:"id,omitempty"`
	Room    chat.Slug  `json:"room,omitempty"`
	Token   string     `json:"token,omitempty"`    // auth
	After   *chat.Seq  `json:"after,omitempty"`    // join
	Log     chat.LogID `json:"log,omitempty"`      // join
	Limit   *int       `json:"limit,omitempty"`    // join, history
	Body    string     `json:"body,omitempty"`     // send, edit
	Nonce   string     `json:"nonce,omitempty"`    // send, edit, delete
	ReplyTo chat.Seq   `json:"reply_to,omitempty"` // send
	Message chat.Seq   `json:"message,omitempty"`  // edit, delete
	Before  chat.Seq   `json:"before,omitempty"`   // history
}

// DecodeCommand reads a frame of a client. On an error the Command still has the ID and Type, where
// these could be read, so that the error can be matched to the command.
func DecodeCommand(frame []byte) (Command, error) {
	var c Command
	if err := Decode(frame, &c); err != nil {
		c.ID = readableID(frame)
		return c, err
	}
	if c.Type == "" {
		return c, chat.Errorf(chat.CodeBadRequest, `a frame needs a "type"`)
	}
	return c, nil
}

// readableID finds the ID in a frame that is wrong elsewhere, nil if it can't be read.
func readableID(frame []byte) *int64 {
	var only struct {
		ID *int64 `json:"id"`
	}
	if json.Unmarshal(frame, &only, jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true)) != nil {
		return nil
	}
	return only.ID
}

// Decode reads one JSON object of a stranger into the struct that into points to: valid UTF-8, at most MaxDepth deep,
// without lone surrogates. Names are compared exactly. Unknown fields are ignored; of two fields with one name the
// later one counts.
func Decode(data []byte, into any) error {
	if trimmed := bytes.TrimLeft(data, " \t\r\n"); len(trimmed) == 0 || trimmed[0] != '{' {
		return chat.Errorf(chat.CodeBadRequest, "not a JSON object")
	}
	if depth(data) > MaxDepth {
		return chat.Errorf(chat.CodeBadRequest, "nested deeper than %d levels", MaxDepth)
	}
	err := json.Unmarshal(data, into, jsontext.AllowDuplicateNames(true))
	if wrong, ok := errors.AsType[*json.SemanticError](err); ok {
		return chat.Errorf(chat.CodeBadRequest, "%.40q can't be a %s", strings.TrimPrefix(string(wrong.JSONPointer), "/"), kindName(wrong.JSONKind))
	}
	switch {
	case err == nil:
		return nil
	case !utf8.Valid(data):
		return chat.Errorf(chat.CodeBadRequest, "not valid UTF-8")
	case json.Unmarshal(data, new(jsontext.Value), jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true)) == nil:
		return chat.Errorf(chat.CodeBadRequest, "a lone surrogate is not text")
	}
	return chat.Errorf(chat.CodeBadRequest, "not valid JSON")
}

func kindName(kind jsontext.Kind) string {
	switch kind {
	case jsontext.KindBeginObject:
		return "object"
	case jsontext.KindBeginArray:
		return "array"
	case jsontext.KindTrue, jsontext.KindFalse:
		return "boolean"
	case jsontext.KindNull, jsontext.KindString, jsontext.KindNumber, jsontext.KindEndObject, jsontext.KindEndArray, jsontext.KindInvalid:
	}
	return kind.String()
}

// depth counts how deep brackets nest outside strings. It looks before anything is decoded: a decoder may take memory
// for each level.
func depth(data []byte) int {
	deepest, now := 0, 0
	for i := 0; i < len(data); i++ {
		switch data[i] {
		case '"':
			i = endOfString(data, i+1)
		case '{', '[':
			now++
			deepest = max(deepest, now)
		case '}', ']':
			now--
		}
	}
	return deepest
}

// endOfString is where the string that starts at from has its closing quote, len(data) if it has none.
func endOfString(data []byte, from int) int {
	for at := from; ; {
		quote := bytes.IndexByte(data[min(at, len(data)):], '"')
		if quote < 0 {
			return len(data)
		}
		at += quote
		escapes := 0
		for at-escapes > from && data[at-escapes-1] == '\\' {
			escapes++
		}
		if escapes%2 == 0 {
			return at
		}
		at++
	}
}
