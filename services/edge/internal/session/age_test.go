package session

import (
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/token"
	"github.com/parley-chat/parley/pkg/wire"
	"github.com/parley-chat/parley/services/edge/internal/hub"
)

func ageing(t *testing.T, maxAge time.Duration) (s *Session, told func() string) {
	t.Helper()
	server, client := net.Pipe()
	log := slog.New(slog.DiscardHandler)
	claims := token.Claims{User: chat.User{ID: "u"}, Session: "s", Expires: time.Now().Add(1000 * time.Hour)}
	s = New(&Shared{
		Hub: hub.New(nil, log, prometheus.NewRegistry()), Limiter: NewLimiter(Rates{}), Writers: NewWriters(), Verifier: &anyToken{claims, token.NewRevocations(time.Now)},
		Limits: Limits{OutboxBytes: 1 << 20, Heartbeat: 1000 * time.Hour, MaxAge: maxAge}, Metrics: NewMetrics(prometheus.NewRegistry()), Log: log,
	}, server, "")
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

func TestThoseWhoCameAtOnceDoNotGoAtOnce(t *testing.T) {
	least, most := time.Hour, time.Duration(0)
	for range 1000 {
		life := Lifetime(100 * time.Second)
		least, most = min(least, life), max(most, life)
		if within := Within(); within < time.Second || within > 5*time.Second {
			t.Fatal(within)
		}
	}
	if least < 80*time.Second || least > 85*time.Second || most > 120*time.Second || most < 115*time.Second {
		t.Error(least, most)
	}
}
