package httpapi

import (
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/gofiber/fiber/v2"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/roomsapi"
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

func (a *API) sendMessage(c *fiber.Ctx) error {
	var body struct {
		Body    string   `json:"body"`
		Nonce   string   `json:"nonce"`
		ReplyTo chat.Seq `json:"reply_to"`
	}
	entry, seq, err := a.append(c, &body, func(e *ledger.Entry) {
		e.Kind, e.Body, e.Nonce, e.ReplyTo = roomsapi.KindSend, body.Body, body.Nonce, body.ReplyTo
	})
	if err != nil {
		return err
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

func (a *API) editMessage(c *fiber.Ctx) error {
	var body struct {
		Body  string `json:"body"`
		Nonce string `json:"nonce"`
	}
	return a.changeMessage(c, &body, func(e *ledger.Entry) { e.Kind, e.Body, e.Nonce = roomsapi.KindEdit, body.Body, body.Nonce })
}

func (a *API) deleteMessage(c *fiber.Ctx) error {
	var body struct {
		Nonce string `json:"nonce"`
	}
	return a.changeMessage(c, &body, func(e *ledger.Entry) { e.Kind, e.Nonce = roomsapi.KindDelete, body.Nonce })
}

func (a *API) changeMessage(c *fiber.Ctx, body any, fill func(*ledger.Entry)) error {
	_, seq, err := a.append(c, body, func(e *ledger.Entry) {
		fill(e)
		e.Message = -1 // what is no id names no message
		if id, err := strconv.ParseInt(c.Params("id"), 10, 64); err == nil && id != 0 {
			e.Message = chat.Seq(id)
		}
	})
	if err != nil {
		return err
	}
	return c.JSON(fiber.Map{"seq": seq})
}

// append decodes the body, and appends the entry that fill makes of it. What is wrong with the entry
// is said before the room is looked at, so that the answer is the same for any room.
func (a *API) append(c *fiber.Ctx, body any, fill func(*ledger.Entry)) (ledger.Entry, chat.Seq, error) {
	caller, err := a.signedIn(c)
	if err != nil {
		return ledger.Entry{}, 0, err
	}
	if err = a.limits.send(c, caller); err != nil {
		return ledger.Entry{}, 0, err
	}
	if err = webapi.Decode(c, body); err != nil {
		return ledger.Entry{}, 0, err
	}
	entry := ledger.Entry{Tenant: caller.Tenant, Author: *caller.User}
	fill(&entry)
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
