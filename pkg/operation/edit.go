package operation

import "net/http"

// NameEdit is the name of Edit.
const NameEdit = "edit"

// Edit puts another body in a message's place.
var Edit = Operation{ //nolint:gochecknoglobals // a constant
	Name:   NameEdit,
	Entry:  "edited",
	Answer: AnswerOK,
	Fields: []Field{{FieldMessage, true}, {FieldBody, true}, {FieldNonce, false}},
	Routes: []Route{{Method: http.MethodPatch, Path: "/api/rooms/:slug/messages/:id"}},
}
