package operation

import (
	"bytes"
	"encoding/json"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/wire"
)

// Check refuses a request that is wrong in whatever room. The edge asks before it sends an append, and rooms asks
// again, since it believes no edge.
func (o *Operation) Check(r Request) error {
	if o.Has(FieldReplyTo) && (r.ReplyTo < 0 || r.ReplyTo > chat.MaxSeq) {
		return NoReplyTo()
	}
	if o.Has(FieldMessage) {
		switch {
		case r.Message == 0:
			return chat.Errorf(chat.CodeBadRequest, `"message" is missing: it is the id of the message`)
		case r.Message < 0 || r.Message > chat.MaxSeq:
			return NoMessage()
		}
	}
	if o.Requires(FieldNonce) || r.Nonce != "" {
		if err := chat.CheckNonce(r.Nonce); err != nil {
			return err
		}
	}
	if o.Has(FieldBody) {
		if err := chat.CheckBody(r.Body); err != nil {
			return err
		}
	}
	return o.checkArguments(r.Arguments)
}

func (o *Operation) checkArguments(given json.RawMessage) error {
	if o.arguments == nil {
		return nil
	}
	checked, err := o.arguments(given)
	if err == nil && !bytes.Equal(checked, given) {
		err = chat.Errorf(chat.CodeBadRequest, "the arguments are not in the form that the edge gives them")
	}
	return err
}

// Unknown refuses an operation that is not in the table.
func Unknown(name Name) error {
	return chat.Errorf(chat.CodeBadRequest, "there is no operation %.40q", string(name))
}

// NoMessage refuses an operation on a message that is not there.
func NoMessage() error { return chat.Errorf(chat.CodeNotFound, "there is no such message") }

// NoReplyTo refuses an answer to a message that is not there.
func NoReplyTo() error {
	return chat.Errorf(chat.CodeNotFound, `"reply_to" names a message that is not there`)
}

// ArgumentsOf makes the arguments of an operation from a struct of its own fields, which checks itself.
func ArgumentsOf[T interface{ Check() error }](object []byte) (json.RawMessage, error) {
	var own T
	if err := wire.Decode(object, &own); err != nil {
		return nil, err
	}
	if err := own.Check(); err != nil {
		return nil, err
	}
	return json.Marshal(own)
}
