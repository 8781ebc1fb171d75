package standalone_test

import (
	"bytes"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/client"
	"github.com/parley-chat/parley/pkg/env"
	"github.com/parley-chat/parley/services/standalone"
	"github.com/parley-chat/parley/services/standalone/standalonetest"
)

// server is a server that runs, and a client of it.
type server struct {
	*standalonetest.Server
	*client.HTTP
}

func serve(t *testing.T, data string, variables ...string) server {
	t.Helper()
	s := standalonetest.Serve(t, data, variables...)
	return server{s, client.NewHTTP(s.URL, &http.Client{Timeout: 20 * time.Second})}
}

// What was said, who said it and who may sign in is still there after a restart.
func TestDataOutlivesTheProcess(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	s := serve(t, data)
	user, err := s.Signup(t.Context(), "ursula", "correct horse staple")
	if err != nil {
		t.Fatal(err)
	}
	sent, err := s.Send(t.Context(), user.AccessToken, "general", client.Outgoing{Body: "remember me", Nonce: "once"})
	if err != nil {
		t.Fatal(err)
	}
	s.Stop()

	s = serve(t, data, "PARLEY_ADMIN_PASSWORD=another password altogether")
	again, err := s.Send(t.Context(), user.AccessToken, "general", client.Outgoing{Body: "remember me", Nonce: "once"})
	if err != nil || again.ID != sent.ID {
		t.Errorf("the same nonce after a restart: %+v, %v", again, err)
	}
	page, err := s.Messages(t.Context(), "", "general", client.MessageQuery{})
	if err != nil || len(page.Messages) != 1 || page.Messages[0].Body != "remember me" {
		t.Errorf("%+v, %v", page, err)
	}
	if _, err := s.Login(t.Context(), "ursula", "correct horse staple"); err != nil {
		t.Error(err)
	}
	if _, err := s.Login(t.Context(), standalonetest.AdminName, standalonetest.AdminPassword); err != nil {
		t.Error("the administrator was made anew:", err)
	}
	if _, err := s.Refresh(t.Context(), user.RefreshToken); err != nil {
		t.Error("the session is gone:", err)
	}
}

var passwordShown = regexp.MustCompile(`administrator is (\S+), password (\S+)\n`)

func TestGeneratedAdministratorIsShownOnce(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	s := serve(t, data, "PARLEY_ADMIN_USER=", "PARLEY_ADMIN_PASSWORD=")
	shown := passwordShown.FindStringSubmatch(s.Out.String())
	if shown == nil || !strings.Contains(s.Out.String(), s.URL) {
		t.Fatal(s.Out.String())
	}
	signIn, err := s.Login(t.Context(), shown[1], shown[2])
	if err != nil || !signIn.User.Staff {
		t.Fatal(signIn.User, err)
	}
	s.Stop()
	s = serve(t, data, "PARLEY_ADMIN_USER=", "PARLEY_ADMIN_PASSWORD=")
	if passwordShown.MatchString(s.Out.String()) || strings.Contains(s.Out.String(), shown[2]) {
		t.Error(s.Out.String())
	}
}

func TestOneServerPerDataFolder(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	serve(t, data)
	if _, err := standalonetest.TryServe(t, data); err == nil || !strings.Contains(err.Error(), "another Parley is running on the data folder") {
		t.Error(err)
	}
}

func TestAllMistakesAreReportedAtOnce(t *testing.T) {
	t.Parallel()
	_, err := standalonetest.TryServe(t, t.TempDir(), "PARLEY_ROOMS_DATABASE=postgres://elsewhere", "PARLEY_REDIS=redis://elsewhere", "PARLEY_GUESTS=perhaps", "PARLEY_DRAIN_GRACE=soon")
	for _, want := range []string{"PARLEY_ROOMS_DATABASE can't be chosen", "PARLEY_REDIS can't be chosen", `PARLEY_GUESTS: "perhaps" is not`, `PARLEY_DRAIN_GRACE: "soon" is not`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in: %v", want, err)
		}
	}
}

func TestCreateSuperuserBesideARunningServer(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	s := serve(t, data)
	var out bytes.Buffer
	command := standalone.New(&out)
	reader := env.New(command.Lookup(func(name string) (string, bool) { return data, name == "PARLEY_DATA" }))
	if err := command.Command(reader, []string{"createsuperuser", "second"}); err != nil {
		t.Fatal(err)
	}
	_, password, _ := strings.Cut(strings.TrimSpace(out.String()), "password ")
	if signIn, err := s.Login(t.Context(), "second", password); err != nil || !signIn.User.Staff {
		t.Error(out.String(), signIn.User, err)
	}
	if err := command.Command(reader, []string{"createsuperuser", "second"}); chat.CodeOf(err) != chat.CodeConflict {
		t.Error(err)
	}
	if err := command.Command(reader, []string{"createsuperuser"}); err == nil || !strings.Contains(err.Error(), "usage") {
		t.Error(err)
	}
}
