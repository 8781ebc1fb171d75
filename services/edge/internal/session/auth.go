package session

import (
	"context"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/roomsapi"
	"github.com/parley-chat/parley/pkg/wire"
)

// auth makes the session somebody's, or renews the token of the same user.
func (s *Session) auth(ctx context.Context, c call) error {
	claims, err := s.Verifier.Verify(ctx, c.Token)
	before, authed := s.Claims()
	switch {
	case err != nil && !authed && chat.CodeOf(err) == chat.CodeUnauthenticated:
		s.Close(wire.CloseUnauthenticated)
		return errDeferred
	case err != nil:
		return err
	case authed && (claims.User.ID != before.User.ID || claims.Tenant != before.Tenant):
		return chat.Errorf(chat.CodeForbidden, "the socket belongs to another user")
	case authed && roomsapi.Class(claims.User) != roomsapi.Class(before.User):
		// The rooms that it is in were opened for what the user was before.
		return chat.Errorf(chat.CodeForbidden, "the user is not what it was: open another socket")
	case authed:
		s.hold(ctx, claims, c.Token)
	case !s.Greet(ctx, claims, c.Token, c.ID):
		return errDeferred
	}
	s.reply(wire.Authed{Type: "authed", ID: c.ID, ExpiresAt: chat.At(claims.Expires)})
	return nil
}
