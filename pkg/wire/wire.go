// Package wire holds the frames of Parley's WebSocket as PROTOCOL.md fixes them: what clients send,
// what servers answer, close codes, and the decoder that everything a stranger sends goes through.
package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"unicode/utf8"

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

// readableID finds the ID in a frame that is wrong elsewhere, nil if it can't be read: encoding/json
// leaves a zero where an ID is no number.
func readableID(frame []byte) *int64 {
	var only struct {
		ID *int64 `json:"id"`
	}
	if err := json.Unmarshal(frame, &only); err != nil {
		return nil
	}
	return only.ID
}

// Decode reads one JSON object of a stranger into the struct that into points to: valid UTF-8, at
// most MaxDepth deep, without lone surrogates. Unknown fields are ignored.
func Decode(data []byte, into any) error {
	switch {
	case !utf8.Valid(data):
		return chat.Errorf(chat.CodeBadRequest, "not valid UTF-8")
	case depth(data) > MaxDepth:
		return chat.Errorf(chat.CodeBadRequest, "nested deeper than %d levels", MaxDepth)
	case loneSurrogate(data):
		return chat.Errorf(chat.CodeBadRequest, "a lone surrogate is no text")
	}
	if trimmed := bytes.TrimLeft(data, " \t\r\n"); len(trimmed) == 0 || trimmed[0] != '{' {
		return chat.Errorf(chat.CodeBadRequest, "not a JSON object")
	}
	err := json.Unmarshal(exactNames(data), into)
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return chat.Errorf(chat.CodeBadRequest, "%q can't be a %s", wrong.Field, wrong.Value)
	}
	if err != nil {
		return chat.Errorf(chat.CodeBadRequest, "not valid JSON")
	}
	return nil
}

// exactNames returns data without the fields whose names are none of ours by their very form: all of
// ours are of a-z and _. encoding/json would take "Body" for "body", and whoever reads along by the
// contract would see another text than we do.
func exactNames(data []byte) []byte {
	if !hasOddName(data) {
		return data
	}
	var fields map[string]json.RawMessage
	if json.Unmarshal(data, &fields) != nil {
		return data // whoever decodes it says what is wrong
	}
	for name := range fields {
		if strings.ContainsFunc(name, func(r rune) bool { return (r < 'a' || r > 'z') && r != '_' }) {
			delete(fields, name)
		}
	}
	clean, err := json.Marshal(fields)
	if err != nil {
		return data
	}
	return clean
}

// hasOddName looks for a name in the outermost object that has another character than a-z and _.
func hasOddName(data []byte) bool {
	level, name := 0, false // name: the next string is one
	for i := 0; i < len(data); i++ {
		switch c := data[i]; c {
		case '{', '[':
			level++
			name = c == '{' && level == 1
		case '}', ']':
			level--
		case ',':
			name = level == 1
		case '"':
			start := i + 1
			i = endOfString(data, start)
			if name && odd(data[start:min(i, len(data))]) {
				return true
			}
			name = false
		}
	}
	return false
}

func odd(name []byte) bool {
	for _, c := range name {
		if (c < 'a' || c > 'z') && c != '_' {
			return true
		}
	}
	return false
}

// depth counts how deep brackets nest outside strings.
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

// loneSurrogate finds a \uD800 to \uDFFF escape that is no half of a pair: encoding/json would
// silently replace it, and the text would not come back as it was sent.
func loneSurrogate(data []byte) bool {
	for i := 0; i+1 < len(data); i++ {
		next := bytes.IndexByte(data[i:], '\\')
		if next < 0 {
			return false
		}
		i += next
		switch unit := escapedUnit(data[i:]); {
		case unit >= 0xd800 && unit < 0xdc00:
			if low := escapedUnit(data[i+6:]); low < 0xdc00 || low > 0xdfff {
				return true
			}
			i += 11
		case unit >= 0xdc00 && unit <= 0xdfff:
			return true
		default:
			i++ // the escaped character, which may be a backslash
		}
	}
	return false
}

// escapedUnit reads the UTF-16 unit of a \uXXXX at the start of data, -1 if there is none.
func escapedUnit(data []byte) int {
	if len(data) < 6 || data[0] != '\\' || data[1] != 'u' {
		return -1
	}
	unit := 0
	for _, c := range data[2:6] {
		switch {
		case c >= '0' && c <= '9':
			unit = unit<<4 | int(c-'0')
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			unit = unit<<4 | int(c|0x20-'a'+10)
		default:
			return -1
		}
	}
	return unit
}
