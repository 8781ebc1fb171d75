package httpapi

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"

	"github.com/gofiber/fiber/v2"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/operation"
	"github.com/parley-chat/parley/pkg/trace"
	"github.com/parley-chat/parley/pkg/webapi"
	"github.com/parley-chat/parley/services/rooms/internal/ledger"
)

// messagePage answers GET /api/rooms/{slug}/messages.
type messagePage struct {
	Messages []json.RawMessage `json:"messages"`
	HasMore  bool              `json:"has_more"`
	Head     chat.Seq          `json:"head"`
	Floor    chat.Seq          `json:"floor"`
}

func (a *API) listMessages(c *fiber.Ctx) error {
	caller, err := a.reader(c)
	if err != nil {
		return err
	}
	before, err := number(c, "before")
	if err != nil {
		return err
	}
	most, err := pageSize(c)
	if err != nil {
		return err
	}
	var after *chat.Seq
	if c.Query("after") != "" {
		var n int64
		if n, err = number(c, "after"); err != nil {
			return err
		}
		after = new(chat.Seq(n))
	}
	ctx, cancel := bounded(c)
	defer cancel()
	room, err := a.directory.Find(ctx, caller, slug(c))
	if err != nil {
		return err
	}
	page, err := a.ledger.History(ctx, room.ID, after, chat.Seq(before), most)
	if err != nil {
		return err
	}
	return c.JSON(messagePage{Messages: page.Messages, HasMore: page.HasMore, Head: page.Room.Head, Floor: page.Room.Floor})
}

// operate answers a call of an operation by one of its routes.
func (a *API) operate(o *operation.Operation, route operation.Route) fiber.Handler {
	return func(c *fiber.Ctx) error {
		entry, seq, err := a.append(c, o, route)
		if err != nil {
			return err
		}
		if o.Answer != operation.AnswerSent {
			return c.JSON(fiber.Map{"seq": seq})
		}
		ctx, cancel := bounded(c)
		defer cancel()
		message, err := a.ledger.Message(ctx, entry.Room, seq)
		if err != nil {
			return err
		}
		c.Status(http.StatusCreated).Set(fiber.HeaderContentType, fiber.MIMEApplicationJSON)
		return c.Send(message)
	}
}

// requestOf reads what is asked for from the body, the path, and what the route says by itself.
func requestOf(c *fiber.Ctx, o *operation.Operation, route operation.Route) (operation.Request, error) {
	fields := make(map[string]json.RawMessage)
	if err := webapi.Decode(c, &fields); err != nil {
		return operation.Request{}, err
	}
	set := func(name string, value any) {
		if text, err := json.Marshal(value); err == nil { // of strings, numbers and booleans alone
			fields[name] = text
		}
	}
	for name, value := range c.AllParams() {
		if name == operation.ParameterMessage {
			set(operation.FieldMessage, messageID(value))
		} else if plain, err := url.PathUnescape(value); err == nil && name != "slug" {
			set(name, plain)
		}
	}
	for name, value := range route.Set {
		set(name, value)
	}
	return o.ReadFields(fields)
}

// messageID reads the id of a message from a path. What is no id names no message, as a negative one does.
func messageID(text string) chat.Seq {
	id, err := strconv.ParseInt(text, 10, 64)
	if err != nil || id == 0 {
		return -1
	}
	return chat.Seq(id)
}

// append decodes the request and appends its entry. What is wrong with the request is said before the room is looked
// at, so that the answer is the same for any room.
func (a *API) append(c *fiber.Ctx, o *operation.Operation, route operation.Route) (ledger.Entry, chat.Seq, error) {
	caller, err := a.signedIn(c)
	if err != nil {
		return ledger.Entry{}, 0, err
	}
	if err = a.limits.send(c, caller); err != nil {
		return ledger.Entry{}, 0, err
	}
	request, err := requestOf(c, o, route)
	if err != nil {
		return ledger.Entry{}, 0, err
	}
	entry := ledger.Entry{Request: request, Tenant: caller.Tenant, Author: *caller.User, Kind: o.Name}
	if err = entry.Check(); err != nil {
		return entry, 0, err
	}
	ctx, cancel := bounded(c)
	defer cancel()
	room, err := a.directory.Lookup(ctx, caller.Tenant, slug(c))
	if err != nil {
		return entry, 0, err
	}
	if err = a.limits.sendTo(room, caller); err != nil {
		return entry, 0, err
	}
	entry.Room, entry.Trace = room.ID, trace.FromContext(ctx).Traceparent()
	outcome := a.ledger.Append(ctx, []ledger.Entry{entry})[0]
	return entry, outcome.Seq, outcome.Err
}
