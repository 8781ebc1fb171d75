package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/operation"
	"github.com/parley-chat/parley/pkg/wire"
)

// JoinOptions choose where in a room's log a join starts.
type JoinOptions struct {
	After *Cursor // resumes after it; nil starts with the newest messages
	Limit int     // how many messages to load; 0 lets the server choose
}

// Join joins a room and stays in it across reconnects, until Leave. It returns once the server has answered. If the
// server refuses, the error is a *chat.Error. After any error, also the end of ctx, the room is not joined.
func (s *Socket) Join(ctx context.Context, slug chat.Slug, options JoinOptions, handler RoomHandler) error {
	r := newRoom(slug, options.Limit, options.After, handler)
	if r.cursor != nil {
		start := *r.cursor
		r.cursor = &start // a copy, because apply changes it
	}
	s.mu.Lock()
	if s.rooms[slug] != nil {
		s.mu.Unlock()
		return chat.Errorf(chat.CodeConflict, "the room is already joined on this socket")
	}
	s.rooms[slug] = r
	l := s.link
	s.mu.Unlock()
	if l != nil {
		s.sendJoin(l, r)
	}
	_, err := s.whenJoined(ctx, r)
	if err != nil {
		s.remove(r)
	}
	return err
}

// Leave leaves a room.
func (s *Socket) Leave(ctx context.Context, slug chat.Slug) error {
	s.mu.Lock()
	r, l := s.rooms[slug], s.link
	s.mu.Unlock()
	if r == nil {
		return nil
	}
	s.remove(r)
	if l == nil {
		return nil // the next connection does not join it
	}
	if _, err := s.call(ctx, l, wire.Command{Type: wire.TypeLeave, Room: slug}); err != nil && !errors.Is(err, errLost) {
		return err
	}
	return nil
}

// Send stores a message and returns its id once it is committed. While the outcome is unknown it retries with the
// same nonce, until ctx ends; the message may then be stored or not, and sending it again with the same nonce finds
// out. Any other error means that the message is not stored. Messages of one socket to one room are stored in the
// order of the calls.
func (s *Socket) Send(ctx context.Context, slug chat.Slug, message Outgoing) (chat.Seq, error) {
	command := wire.Command{Type: operation.NameSend, Room: slug, Body: message.Body, ReplyTo: message.ReplyTo, Nonce: nonceOr(message.Nonce)}
	var sent wire.Sent
	err := s.store(ctx, command, &sent)
	return sent.Message, err
}

// Edit changes a message and returns the seq of the edit. It retries like Send.
func (s *Socket) Edit(ctx context.Context, slug chat.Slug, message chat.Seq, body string) (chat.Seq, error) {
	var ok wire.OK
	err := s.store(ctx, wire.Command{Type: operation.NameEdit, Room: slug, Message: message, Body: body, Nonce: nonceOr("")}, &ok)
	return ok.Seq, err
}

// Delete deletes a message and returns the seq of the first delete. It retries like Send.
func (s *Socket) Delete(ctx context.Context, slug chat.Slug, message chat.Seq) (chat.Seq, error) {
	var ok wire.OK
	err := s.store(ctx, wire.Command{Type: operation.NameDelete, Room: slug, Message: message, Nonce: nonceOr("")}, &ok)
	return ok.Seq, err
}

// History returns messages with ids below before, newest first, and whether there are more. With before 0 it starts
// at the newest message.
func (s *Socket) History(ctx context.Context, slug chat.Slug, before chat.Seq, limit int) ([]chat.Message, bool, error) {
	command := wire.Command{Type: wire.TypeHistory, Room: slug, Before: before}
	if limit > 0 {
		command.Limit = &limit
	}
	var answer struct {
		Messages []chat.Message `json:"messages"`
		HasMore  bool           `json:"has_more"`
	}
	err := s.ask(ctx, command, &answer)
	return answer.Messages, answer.HasMore, err
}

// Members returns the users who are connected to a room, and their number. Either may be missing.
func (s *Socket) Members(ctx context.Context, slug chat.Slug) ([]chat.User, *int, error) {
	var answer wire.Members
	err := s.ask(ctx, wire.Command{Type: wire.TypeMembers, Room: slug}, &answer)
	return answer.Members, answer.MemberCount, err
}

// Typing tells the others in a room that the user is typing. It does nothing while there is no connection.
func (s *Socket) Typing(slug chat.Slug) {
	s.mu.Lock()
	l := s.link
	joined := s.rooms[slug] != nil && s.rooms[slug].joined
	s.mu.Unlock()
	if l != nil && joined {
		_ = l.write(wire.Command{Type: wire.TypeTyping, Room: slug})
	}
}

// store runs a command that writes. A room's commands run one at a time, in the order of the calls.
func (s *Socket) store(ctx context.Context, command wire.Command, into any) error {
	r, err := s.room(command.Room)
	if err != nil {
		return err
	}
	select {
	case r.writeSlot <- struct{}{}:
		defer func() { <-r.writeSlot }()
	case <-ctx.Done():
		return ctx.Err()
	case <-s.ended:
		return ErrClosed
	}
	return s.retry(ctx, r, command, into)
}

// ask runs a command that only reads.
func (s *Socket) ask(ctx context.Context, command wire.Command, into any) error {
	r, err := s.room(command.Room)
	if err != nil {
		return err
	}
	return s.retry(ctx, r, command, into)
}

// retry sends a command until its outcome is known.
func (s *Socket) retry(ctx context.Context, r *room, command wire.Command, into any) error {
	wait := backoff{longest: commandMax}
	for {
		l, err := s.whenJoined(ctx, r)
		if err != nil {
			return err
		}
		frame, err := s.call(ctx, l, command)
		switch {
		case err == nil:
			if err = json.Unmarshal(frame, into); err != nil {
				return fmt.Errorf("answer to %s: %w", command.Type, err)
			}
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, errLost):
			continue // on the next connection, or on this one if only the answer was lost
		case !chat.OutcomeUnknown(err):
			return err
		}
		if err = sleep(ctx, wait.next(chat.Public(err).RetryAfter)); err != nil {
			return err
		}
	}
}

// whenJoined waits until r is joined, and returns the connection.
func (s *Socket) whenJoined(ctx context.Context, r *room) (*link, error) {
	for {
		s.mu.Lock()
		l, joined, err, ready := s.link, r.joined, r.err, r.ready
		s.mu.Unlock()
		switch {
		case err != nil:
			return nil, err
		case joined:
			return l, nil
		}
		select {
		case <-ready:
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-s.ended:
			return nil, ErrClosed
		}
	}
}

func (s *Socket) room(slug chat.Slug) (*room, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.rooms[slug]; r != nil {
		return r, nil
	}
	return nil, chat.Errorf(chat.CodeForbidden, "join the room first")
}

// remove removes r from the joined rooms.
func (s *Socket) remove(r *room) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.rooms[r.slug] == r {
		delete(s.rooms, r.slug)
		r.fail(errNotJoined)
	}
}
