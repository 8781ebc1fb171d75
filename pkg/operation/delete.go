package operation

import "net/http"

// NameDelete is the name of Delete.
const NameDelete = "delete"

// Delete takes a message's body away, everywhere.
var Delete = Operation{ //nolint:gochecknoglobals // a constant
	Name:   NameDelete,
	Entry:  "deleted",
	Answer: AnswerOK,
	Fields: []Field{{FieldMessage, true}, {FieldNonce, false}},
	Routes: []Route{{Method: http.MethodDelete, Path: "/api/rooms/:slug/messages/:id"}},
}
