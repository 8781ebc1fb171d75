package httpapi

import (
	"net/http"

	"github.com/gofiber/fiber/v2"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/webapi"
	"github.com/parley-chat/parley/services/rooms/internal/room"
)

// roomPage answers GET /api/rooms.
type roomPage struct {
	Rooms []chat.Room `json:"rooms"`
	Next  string      `json:"next,omitempty"`
}

func (a *API) listRooms(c *fiber.Ctx) error {
	caller, err := a.reader(c)
	if err != nil {
		return err
	}
	most, err := pageSize(c)
	if err != nil {
		return err
	}
	ctx, cancel := bounded(c)
	defer cancel()
	rooms, next, err := a.directory.List(ctx, caller, c.Query("q"), c.Query("cursor"), most)
	if err != nil {
		return err
	}
	page := roomPage{Rooms: make([]chat.Room, len(rooms)), Next: next}
	for i, room := range rooms {
		page.Rooms[i] = room.Room
	}
	return c.JSON(page)
}

// later are settings of a later release: asking for one must not be passed over in silence.
type later struct {
	Private  bool          `json:"private"`
	Password string        `json:"password"`
	Members  []chat.UserID `json:"members"`
}

func (l later) check() error {
	if l.Private || l.Password != "" || len(l.Members) > 0 {
		return chat.Errorf(chat.CodeBadRequest, "private rooms, passwords and members are not supported yet")
	}
	return nil
}

func (a *API) createRoom(c *fiber.Ctx) error {
	caller, err := a.signedIn(c)
	if err != nil {
		return err
	}
	var body struct {
		later

		Slug        chat.Slug `json:"slug"`
		Name        string    `json:"name"`
		Description string    `json:"description"`
		StaffOnly   bool      `json:"staff_only"`
		AllowGuests bool      `json:"allow_guests"`
	}
	if err = webapi.Decode(c, &body); err != nil {
		return err
	}
	if err = body.check(); err != nil {
		return err
	}
	if err = a.limits.creates.Allow(string(caller.User.ID)); err != nil {
		return err
	}
	ctx, cancel := bounded(c)
	defer cancel()
	room, err := a.directory.Create(ctx, caller, room.Draft{
		Slug: body.Slug, Name: body.Name, Description: body.Description, StaffOnly: body.StaffOnly, AllowGuests: body.AllowGuests,
	})
	if err != nil {
		return err
	}
	return c.Status(http.StatusCreated).JSON(room.Room)
}

func (a *API) readRoom(c *fiber.Ctx) error {
	caller, err := a.reader(c)
	if err != nil {
		return err
	}
	ctx, cancel := bounded(c)
	defer cancel()
	room, err := a.directory.Find(ctx, caller, slug(c))
	if err != nil {
		return err
	}
	return c.JSON(room.Room)
}

func (a *API) updateRoom(c *fiber.Ctx) error {
	caller, err := a.signedIn(c)
	if err != nil {
		return err
	}
	var body struct {
		later

		Name        *string `json:"name"`
		Description *string `json:"description"`
		StaffOnly   *bool   `json:"staff_only"`
		AllowGuests *bool   `json:"allow_guests"`
	}
	if err = a.limits.changes.Allow(string(caller.User.ID)); err != nil {
		return err
	}
	if err = webapi.Decode(c, &body); err != nil {
		return err
	}
	if err = body.check(); err != nil {
		return err
	}
	ctx, cancel := bounded(c)
	defer cancel()
	room, err := a.directory.Update(ctx, caller, slug(c), room.Patch{
		Name: body.Name, Description: body.Description, StaffOnly: body.StaffOnly, AllowGuests: body.AllowGuests,
	})
	if err != nil {
		return err
	}
	return c.JSON(room.Room)
}

func (a *API) deleteRoom(c *fiber.Ctx) error {
	caller, err := a.signedIn(c)
	if err != nil {
		return err
	}
	if err = a.limits.changes.Allow(string(caller.User.ID)); err != nil {
		return err
	}
	ctx, cancel := bounded(c)
	defer cancel()
	if err := a.directory.Delete(ctx, caller, slug(c)); err != nil {
		return err
	}
	return c.SendStatus(http.StatusNoContent)
}
