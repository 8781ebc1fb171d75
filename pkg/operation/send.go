package operation

import "net/http"

// NameSend is the name of Send.
const NameSend = "send"

// Send says something: a new message. Its nonce makes that happen once.
var Send = Operation{ //nolint:gochecknoglobals // a constant
	Name:   NameSend,
	Entry:  "message",
	Answer: AnswerSent,
	Fields: []Field{{FieldBody, true}, {FieldNonce, true}, {FieldReplyTo, false}},
	Routes: []Route{{Method: http.MethodPost, Path: "/api/rooms/:slug/messages"}},
}
