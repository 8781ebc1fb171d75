// Package operation is the table of what a user can do in a room that makes an entry of its log: one value each, in a
// file of its own. The edge's dispatch, the routes of the HTTP API, the internal call to rooms, the labels of metrics
// and a test of both contract documents follow from it. What an operation does to the log is in the rooms service.
//
// A new operation is a file here, a line in All, a file in the rooms service, and its place in the documents. A field
// that only one operation has needs no more than that: it travels within Request.Arguments.
package operation

import (
	"encoding/json"
	"slices"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/wire"
)

// Name is the type of the socket's command, the kind of the append, and the label of metrics.
type Name string

// Operation is one of them. Its checks say nothing of the room, so that the answer to what is wrong is the same for
// any room, and the edge and rooms make the same ones.
type Operation struct {
	Name   Name
	Entry  string // the kind of the entries that it makes
	Answer Answer
	Fields []Field
	Routes []Route

	// arguments checks the fields that only this operation has and returns them as one JSON object, always the same
	// bytes for the same content. It takes the whole of a frame, and what it has returned itself. Nil where there are none.
	arguments func(object []byte) (json.RawMessage, error)
}

// Field is one field of the command and of the call by HTTP.
type Field struct {
	Name     string
	Required bool
}

// The names of the fields that several operations share. All others are an operation's own arguments.
const (
	FieldMessage = "message"
	FieldBody    = "body"
	FieldReplyTo = "reply_to"
	FieldNonce   = "nonce"
)

// Route is a way to call the operation by HTTP. A parameter of the path, other than the room's slug, is the field of
// its name, and ParameterMessage is the message. Set has the fields that the route says by itself.
type Route struct {
	Method string
	Path   string
	Set    map[string]any
}

// ParameterMessage is the parameter of a path that names the message.
const ParameterMessage = "id"

// Request is what somebody asks an operation for, without the room. Fields that the operation does not have are zero.
type Request struct {
	Nonce     string          `json:"nonce,omitempty"`
	Body      string          `json:"body,omitempty"`
	ReplyTo   chat.Seq        `json:"reply_to,omitempty"`
	Message   chat.Seq        `json:"message,omitempty"`
	Arguments json.RawMessage `json:"args,omitempty"` // the fields that only this operation has
}

// All are the operations. Nobody changes them.
var All = []*Operation{&Send, &Edit, &Delete} //nolint:gochecknoglobals // a table

// Find returns the operation of a name, nil if there is none.
func Find(name Name) *Operation {
	for _, o := range All {
		if o.Name == name {
			return o
		}
	}
	return nil
}

// Label is the name as a label of metrics, which has no values that a caller made up.
func Label(name Name) string {
	if Find(name) == nil {
		return "other"
	}
	return string(name)
}

// Has says whether the operation has the field.
func (o *Operation) Has(field string) bool {
	return slices.ContainsFunc(o.Fields, func(f Field) bool { return f.Name == field })
}

// Requires says whether the field must be there.
func (o *Operation) Requires(field string) bool { return slices.Contains(o.Fields, Field{field, true}) }

// Read makes the request of a command, which was decoded from frame. It is not checked yet.
func (o *Operation) Read(c wire.Command, frame []byte) (r Request, err error) {
	if o.Has(FieldNonce) {
		r.Nonce = c.Nonce
	}
	if o.Has(FieldBody) {
		r.Body = c.Body
	}
	if o.Has(FieldReplyTo) {
		r.ReplyTo = c.ReplyTo
	}
	if o.Has(FieldMessage) {
		r.Message = c.Message
	}
	if o.arguments != nil {
		r.Arguments, err = o.arguments(frame)
	}
	return r, err
}

// ReadFields makes the request of fields by their names; fields that are not the operation's are passed over. It is
// not checked yet.
func (o *Operation) ReadFields(fields map[string]json.RawMessage) (Request, error) {
	own := make(map[string]json.RawMessage, len(o.Fields))
	for _, f := range o.Fields {
		if value, ok := fields[f.Name]; ok {
			own[f.Name] = value
		}
	}
	object, err := json.Marshal(own)
	if err != nil {
		return Request{}, chat.Errorf(chat.CodeBadRequest, "not valid JSON")
	}
	var c wire.Command
	if err = wire.Decode(object, &c); err != nil {
		return Request{}, err
	}
	return o.Read(c, object)
}

// Cost is how many bytes a request counts for in limits of bytes.
func (r Request) Cost() int { return len(r.Body) + len(r.Arguments) }
