package client

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/wire"
)

// renewing hands out numbered tokens of a given life.
type renewing struct {
	mu    sync.Mutex
	life  time.Duration
	given int
}

func (r *renewing) Token(_ context.Context, _ string) (Token, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.given++
	return Token{Access: "token" + string(rune('0'+r.given)), Expires: time.Now().Add(r.life)}, nil
}

func TestRenewsItsTokenOnTheOpenSocket(t *testing.T) {
	s := newScript(t)
	socket, _ := start(t, s, &renewing{life: 500 * time.Millisecond})
	join(t, socket, JoinOptions{})
	deadline := time.Now().Add(5 * time.Second)
	for {
		s.mu.Lock()
		tokens := slices.Clone(s.tokens)
		s.mu.Unlock()
		if len(tokens) >= 3 {
			if !slices.Equal(tokens[:3], []string{"Bearer token1", "token2", "token3"}) {
				t.Error(tokens)
			}
			break
		}
		if time.Now().After(deadline) {
			t.Fatal(tokens)
		}
		pause(t, 10*time.Millisecond)
	}
	if n := s.dialled(); n != 1 {
		t.Errorf("%d connections", n)
	}
}

func TestEndsWhenNoTokenIsLeft(t *testing.T) {
	s := newScript(t)
	socket, ran := start(t, s, StaticToken("good"))
	join(t, socket, JoinOptions{})
	s.cut(wire.CloseUnauthenticated)
	select {
	case err := <-ran:
		if chat.CodeOf(err) != chat.CodeUnauthenticated {
			t.Error(err)
		}
	case <-within(t).Done():
		t.Fatal("still running")
	}
	if _, err := socket.Send(within(t), "a", Outgoing{Body: "x"}); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
}
