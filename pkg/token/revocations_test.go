package token

import (
	"fmt"
	"testing"
	"time"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/lobby"
)

func TestRevocationsAreKeptAsLongAsTokensLive(t *testing.T) {
	now := start
	r := NewRevocations(func() time.Time { return now })
	ended := someClaims()
	r.Apply(lobby.Event{Kind: lobby.SessionEnded, Session: ended.Session, At: chat.At(start)})
	old := Claims{User: chat.User{ID: "u2"}, Session: "s2", Generation: 6}
	r.Apply(lobby.Event{Kind: lobby.GenerationRaised, User: "u2", Generation: 7, At: chat.At(start)})
	r.Apply(lobby.Event{Kind: lobby.GenerationRaised, User: "u2", Generation: 5, At: chat.At(start)}) // late
	for _, age := range []time.Duration{0, MaxLifetime, MaxLifetime + Skew - time.Second} {
		now = start.Add(age)
		r.Apply(lobby.Event{Kind: lobby.RoomCreated}) // may sweep
		if !r.Revoked(ended) || !r.Revoked(old) {
			t.Errorf("forgotten after %s", age)
		}
	}
	if fresh := (Claims{User: old.User, Session: "s3", Generation: 7}); r.Revoked(fresh) {
		t.Error("a token of the new generation is refused")
	}
	now = start.Add(MaxLifetime + Skew + sweepEvery)
	for i := range 100 {
		r.Apply(lobby.Event{Kind: lobby.SessionEnded, Session: chat.SessionID(fmt.Sprint(i))})
	}
	if len(r.sessions) != 100 || len(r.generations) != 0 {
		t.Errorf("kept %d sessions and %d generations", len(r.sessions), len(r.generations))
	}
}
