package api_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/parley-chat/parley/pkg/env"
	"github.com/parley-chat/parley/pkg/lifecycle"
	"github.com/parley-chat/parley/pkg/observe"
	"github.com/parley-chat/parley/pkg/redistest"
	"github.com/parley-chat/parley/pkg/webapi"
	"github.com/parley-chat/parley/services/rooms"
	"github.com/parley-chat/parley/services/standalone"
	"github.com/parley-chat/parley/test/contract"
	"github.com/parley-chat/parley/test/servertest"
)

// redirectOccurs asks the rooms service by itself, to which a proxy that routes by prefixes brings the long
// poll, and then goes where it is sent.
func redirectOccurs(t *testing.T) *contract.Traffic {
	s := servertest.Serve(t, t.TempDir())
	a := ask(t, s)
	other, data := standalone.New(io.Discard), t.TempDir()
	config := rooms.ConfigFrom(env.New(other.Lookup(func(name string) (string, bool) { return data, name == "PARLEY_DATA" })))
	registry, log := observe.NewRegistry(&observe.Readiness{}), slog.New(slog.DiscardHandler)
	service, err := rooms.New(t.Context(), config, rooms.Deps{Log: log, Registry: registry, Now: time.Now, Redis: redistest.Embedded(t)})
	if err != nil {
		t.Fatal(err)
	}
	app := webapi.New(webapi.Options{Service: "rooms", Log: log, Registry: registry})
	service.Routes(app)
	asks := func(path string, want int) (location string) {
		t.Helper()
		request := httptest.NewRequest(http.MethodGet, path, nil)
		response, err := app.Test(request)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Traffic.Answer(http.MethodGet, request.URL.EscapedPath(), response); err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, response.Body)
		if response.StatusCode != want {
			t.Errorf("%s: %s", path, response.Status)
		}
		return response.Header.Get("Location")
	}
	for path, want := range map[string]string{
		"/api/rooms/general/events":                    "/poll/general",
		"/api/rooms/general/events?after=0&wait=0":     "/poll/general?after=0&wait=0",
		"/api/rooms/general/events?after=%0d%0aX-Y:+z": "/poll/general?after=%0D%0AX-Y%3A+z",
	} {
		if got := asks(path, http.StatusTemporaryRedirect); got != want {
			t.Errorf("%s is sent to %q, want %q", path, got, want)
		}
	}
	asks("/api/rooms/..%2fevil/events", http.StatusNotFound)
	if got := s.Call(t, http.MethodGet, asks("/api/rooms/general/events?wait=0", http.StatusTemporaryRedirect), "", ""); got.Status != http.StatusOK {
		t.Errorf("where it is sent: %d %s", got.Status, got.Body)
	}
	a.gets("pollEvents 200 general?wait=0", "", "") // where everything is one process nobody is sent anywhere
	store := service.Parts()[0]
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	if err := lifecycle.Run(ctx, stop, store); err != nil {
		t.Error(err)
	}
	return s.Traffic
}
