package operation

import "net/http"

// NameEdit is the name of Edit, and EntryEdited the kind of its entries.
const (
	NameEdit    = "edit"
	EntryEdited = "edited"
)

// Edit puts another body in a message's place.
var Edit = Operation{ //nolint:gochecknoglobals // a constant
	Name:   NameEdit,
	Entry:  EntryEdited,
	Answer: AnswerOK,
	Fields: []Field{{FieldMessage, true}, {FieldBody, true}, {FieldNonce, false}},
	Routes: []Route{{Method: http.MethodPatch, Path: "/api/rooms/:slug/messages/:id"}},
}
