package rooms

import (
	"context"
	"time"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/lobby"
	"github.com/parley-chat/parley/pkg/token"
)

// revoked hands auth's events to the memory of what is void.
type revoked struct{ revocations *token.Revocations }

// HandleLobby implements lobby.Handler.
func (r revoked) HandleLobby(_ context.Context, event lobby.Event) { r.revocations.Apply(event) }

// graced takes tokens for a grace only after auth was last heard of: nobody can tell then any more
// which of them are void.
type graced struct {
	verifier *token.Verifier
	follower *lobby.Follower
	grace    time.Duration
}

// Verify implements webapi.Verifier.
func (g *graced) Verify(ctx context.Context, raw string) (token.Claims, error) {
	if time.Since(g.follower.Heard()) > g.grace {
		return token.Claims{}, chat.Errorf(chat.CodeUnavailable, "sign-ins can't be checked just now")
	}
	return g.verifier.Verify(ctx, raw)
}
