package operation

import "net/http"

// NameDelete is the name of Delete, and EntryDeleted the kind of its entries.
const (
	NameDelete   = "delete"
	EntryDeleted = "deleted"
)

// Delete takes a message's body away, everywhere.
var Delete = Operation{ //nolint:gochecknoglobals // a constant
	Name:   NameDelete,
	Entry:  EntryDeleted,
	Answer: AnswerOK,
	Fields: []Field{{FieldMessage, true}, {FieldNonce, false}},
	Routes: []Route{{Method: http.MethodDelete, Path: "/api/rooms/:slug/messages/:id"}},
}
