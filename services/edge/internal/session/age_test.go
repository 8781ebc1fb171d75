package session

import (
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/token"
	"github.com/parley-chat/parley/pkg/wire"
)

func ageing(t *testing.T, maxAge time.Duration) (s *Session, told func() string) {
	t.Helper()
	server, client := net.Pipe()
	claims := token.Claims{User: chat.User{ID: "u"}, Session: "s", Expires: time.Now().Add(1000 * time.Hour)}
	shared, _ := newShared(claims, &fakeRooms{})
	shared.Limits.MaxAge = maxAge
	s = New(shared, server, "")
	s.Greet(t.Context(), claims, "raw", nil)
	read := make(chan string, 1)
	go func() {
		content, _ := io.ReadAll(client)
		read <- string(content)
	}()
	return s, func() string {
		s.Close(wire.CloseNormal)
		s.End()
		_ = client.Close()
		return <-read
	}
}

func TestAnOldSessionIsToldToGoAndThenClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const maxAge = 10 * time.Hour
		s, told := ageing(t, maxAge)
		aged := func() float64 { return testutil.ToFloat64(s.Metrics.aged) }
		s.Beat(s.opened.Add(maxAge*8/10-time.Second), nil)
		if aged() != 0 {
			t.Error("sent away too young")
		}
		now := s.opened.Add(maxAge * 12 / 10)
		s.Beat(now, nil)
		s.Beat(now.Add(900*time.Millisecond), nil)
		if aged() != 1 || s.Code() != 0 {
			t.Error("not told, or closed before it had the time to go:", aged(), s.Code())
		}
		s.Beat(now.Add(5*time.Second), nil)
		if aged() != 1 || s.Code() != wire.CloseDrained {
			t.Error("told, and not closed:", aged(), s.Code())
		}
		if frames := told(); strings.Count(frames, `{"type":"draining","after_ms":`) != 1 {
			t.Errorf("%q", frames)
		}
	})
}

func TestASessionMayGetAsOldAsItLikes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, told := ageing(t, 0)
		s.Beat(s.opened.Add(900*time.Hour), nil)
		s.Beat(s.opened.Add(901*time.Hour), nil)
		if s.Code() != 0 || strings.Contains(told(), "draining") {
			t.Error("sent away", s.Code())
		}
	})
}
