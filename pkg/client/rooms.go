package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"github.com/parley-chat/parley/pkg/chat"
)

// NewRoom describes a room to create.
type NewRoom struct {
	Slug        chat.Slug `json:"slug"`
	Name        string    `json:"name"`
	Description string    `json:"description,omitempty"`
	StaffOnly   bool      `json:"staff_only,omitempty"`
	AllowGuests bool      `json:"allow_guests,omitempty"`
}

// RoomChange changes the fields that are not nil.
type RoomChange struct {
	Name        *string `json:"name,omitempty"`
	Description *string `json:"description,omitempty"`
	StaffOnly   *bool   `json:"staff_only,omitempty"`
	AllowGuests *bool   `json:"allow_guests,omitempty"`
}

// RoomPage is a page of the directory. Next is the cursor of the following page, "" on the last one.
type RoomPage struct {
	Rooms []chat.Room `json:"rooms"`
	Next  string      `json:"next"`
}

// Rooms lists the rooms that the user of token may see; an empty token is anonymous. Query filters, cursor is the
// Next of a page, and with limit 0 the server chooses the page size.
func (c *HTTP) Rooms(ctx context.Context, token, query, cursor string, limit int) (RoomPage, error) {
	values := url.Values{}
	if query != "" {
		values.Set("q", query)
	}
	if cursor != "" {
		values.Set("cursor", cursor)
	}
	if limit != 0 {
		values.Set("limit", strconv.Itoa(limit))
	}
	var page RoomPage
	err := c.call(ctx, http.MethodGet, withQuery("/api/rooms", values), token, nil, &page)
	return page, err
}

// CreateRoom creates a room.
func (c *HTTP) CreateRoom(ctx context.Context, token string, room NewRoom) (chat.Room, error) {
	var made chat.Room
	err := c.call(ctx, http.MethodPost, "/api/rooms", token, room, &made)
	return made, err
}

// Room returns one room.
func (c *HTTP) Room(ctx context.Context, token string, slug chat.Slug) (chat.Room, error) {
	var room chat.Room
	err := c.call(ctx, http.MethodGet, roomPath(slug), token, nil, &room)
	return room, err
}

// UpdateRoom changes a room.
func (c *HTTP) UpdateRoom(ctx context.Context, token string, slug chat.Slug, change RoomChange) (chat.Room, error) {
	var room chat.Room
	err := c.call(ctx, http.MethodPatch, roomPath(slug), token, change, &room)
	return room, err
}

// DeleteRoom deletes a room. Its slug is never reused.
func (c *HTTP) DeleteRoom(ctx context.Context, token string, slug chat.Slug) error {
	return c.call(ctx, http.MethodDelete, roomPath(slug), token, nil, nil)
}

// MessageQuery selects a page of history: oldest first with After, newest first otherwise. With Limit 0 the server
// chooses the page size.
type MessageQuery struct {
	Before, After *chat.Seq
	Limit         int
}

// MessagePage is a page of messages in their current state, with the first and the last seq of the room's log.
type MessagePage struct {
	Messages []chat.Message `json:"messages"`
	HasMore  bool           `json:"has_more"`
	Head     chat.Seq       `json:"head"`
	Floor    chat.Seq       `json:"floor"`
}

// Messages reads history.
func (c *HTTP) Messages(ctx context.Context, token string, slug chat.Slug, query MessageQuery) (MessagePage, error) {
	values := url.Values{}
	if query.Before != nil {
		values.Set("before", strconv.FormatInt(int64(*query.Before), 10))
	}
	if query.After != nil {
		values.Set("after", strconv.FormatInt(int64(*query.After), 10))
	}
	if query.Limit != 0 {
		values.Set("limit", strconv.Itoa(query.Limit))
	}
	var page MessagePage
	err := c.call(ctx, http.MethodGet, withQuery(roomPath(slug)+"/messages", values), token, nil, &page)
	return page, err
}

// Outgoing is a message to send. An empty Nonce is replaced by a random one. Set it if you may have to send the
// message again after an unknown outcome.
type Outgoing struct {
	Body    string   `json:"body"`
	Nonce   string   `json:"nonce"`
	ReplyTo chat.Seq `json:"reply_to,omitempty"`
}

// Send stores a message by HTTP. It tries once: if chat.OutcomeUnknown, call it again with the same nonce.
func (c *HTTP) Send(ctx context.Context, token string, slug chat.Slug, message Outgoing) (chat.Message, error) {
	message.Nonce = nonceOr(message.Nonce)
	var sent chat.Message
	err := c.call(ctx, http.MethodPost, roomPath(slug)+"/messages", token, message, &sent)
	return sent, err
}

// Edit changes a message by HTTP and returns the seq of the edit.
func (c *HTTP) Edit(ctx context.Context, token string, slug chat.Slug, message chat.Seq, body, nonce string) (chat.Seq, error) {
	change := map[string]string{"body": body, "nonce": nonceOr(nonce)}
	return c.change(ctx, http.MethodPatch, token, slug, message, change)
}

// Delete deletes a message by HTTP and returns the seq of the delete.
func (c *HTTP) Delete(ctx context.Context, token string, slug chat.Slug, message chat.Seq) (chat.Seq, error) {
	return c.change(ctx, http.MethodDelete, token, slug, message, nil)
}

func (c *HTTP) change(ctx context.Context, method, token string, slug chat.Slug, message chat.Seq, body any) (chat.Seq, error) {
	var answer struct {
		Seq chat.Seq `json:"seq"`
	}
	path := roomPath(slug) + "/messages/" + strconv.FormatInt(int64(message), 10)
	err := c.call(ctx, method, path, token, body, &answer)
	return answer.Seq, err
}

func roomPath(slug chat.Slug) string { return "/api/rooms/" + url.PathEscape(string(slug)) }

func withQuery(path string, values url.Values) string {
	if len(values) == 0 {
		return path
	}
	return path + "?" + values.Encode()
}
