package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/client"
	"github.com/parley-chat/parley/pkg/env"
)

// What was said, who said it and who may sign in is still there after a restart.
func TestDataOutlivesTheProcess(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	s := serve(t, data)
	user := s.people(t)["user"]
	sent, err := s.api.Send(t.Context(), user.AccessToken, "general", client.Outgoing{Body: "remember me", Nonce: "once"})
	if err != nil {
		t.Fatal(err)
	}
	s.stop()

	s = serve(t, data, "PARLEY_ADMIN_PASSWORD=another password altogether")
	again, err := s.api.Send(t.Context(), user.AccessToken, "general", client.Outgoing{Body: "remember me", Nonce: "once"})
	if err != nil || again.ID != sent.ID {
		t.Errorf("the same nonce after a restart: %+v, %v", again, err)
	}
	page, err := s.api.Messages(t.Context(), "", "general", client.MessageQuery{})
	if err != nil || len(page.Messages) != 1 || page.Messages[0].Body != "remember me" {
		t.Errorf("%+v, %v", page, err)
	}
	if _, err := s.api.Login(t.Context(), "ursula", "correct horse staple"); err != nil {
		t.Error(err)
	}
	if _, err := s.api.Login(t.Context(), adminName, adminPassword); err != nil {
		t.Error("the administrator was made anew:", err)
	}
	if _, err := s.api.Refresh(t.Context(), user.RefreshToken); err != nil {
		t.Error("the session is gone:", err)
	}
}

var passwordShown = regexp.MustCompile(`administrator is (\S+), password (\S+)\n`)

func TestGeneratedAdministratorIsShownOnce(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	s := serve(t, data, "PARLEY_ADMIN_USER=", "PARLEY_ADMIN_PASSWORD=")
	shown := passwordShown.FindStringSubmatch(s.out.String())
	if shown == nil || !strings.Contains(s.out.String(), s.url) {
		t.Fatal(s.out.String())
	}
	signIn, err := s.api.Login(t.Context(), shown[1], shown[2])
	if err != nil || !signIn.User.Staff {
		t.Fatal(signIn.User, err)
	}
	s.stop()
	s = serve(t, data, "PARLEY_ADMIN_USER=", "PARLEY_ADMIN_PASSWORD=")
	if passwordShown.MatchString(s.out.String()) || strings.Contains(s.out.String(), shown[2]) {
		t.Error(s.out.String())
	}
}

func TestOneServerPerDataFolder(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	serve(t, data)
	if _, err := tryServe(t, data); err == nil || !strings.Contains(err.Error(), "another Parley is running on the data folder") {
		t.Error(err)
	}
}

func TestAllMistakesAreReportedAtOnce(t *testing.T) {
	t.Parallel()
	_, err := tryServe(t, t.TempDir(), "PARLEY_ROOMS_DATABASE=postgres://elsewhere", "PARLEY_REDIS=redis://elsewhere", "PARLEY_GUESTS=perhaps", "PARLEY_DRAIN_GRACE=soon")
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
	command := &standalone{out: &out, credential: newCredential()}
	reader := env.New(command.lookup(func(name string) (string, bool) { return data, name == dataVariable }))
	if err := command.command(reader, []string{"createsuperuser", "second"}); err != nil {
		t.Fatal(err)
	}
	_, password, _ := strings.Cut(strings.TrimSpace(out.String()), "password ")
	if signIn, err := s.api.Login(t.Context(), "second", password); err != nil || !signIn.User.Staff {
		t.Error(out.String(), signIn.User, err)
	}
	if err := command.command(reader, []string{"createsuperuser", "second"}); chat.CodeOf(err) != chat.CodeConflict {
		t.Error(err)
	}
	if err := command.command(reader, []string{"createsuperuser"}); err == nil || !strings.Contains(err.Error(), "usage") {
		t.Error(err)
	}
}

// programs is the folder of the programs: make test has built them, else they are built.
func programs(t *testing.T) string {
	t.Helper()
	if folder := os.Getenv("PARLEY_TEST_BIN"); folder != "" {
		return folder
	}
	folder := t.TempDir()
	for _, path := range []string{"auth/cmd/auth", "rooms/cmd/rooms", "edge/cmd/edge", "web/cmd/web", "steward/cmd/steward", "standalone/cmd/cluster", "standalone"} {
		out, err := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(folder, filepath.Base(path)), "github.com/parley-chat/parley/services/"+path).CombinedOutput()
		if err != nil {
			t.Fatalf("build %s: %v\n%s", path, err, out)
		}
	}
	return folder
}

// The program itself: what `make run` does, with a browser's connections open, until Ctrl-C.
func TestTheProgramRunsUntilCtrlC(t *testing.T) {
	t.Parallel()
	program := filepath.Join(programs(t), "standalone")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program)
	cmd.Env = []string{"PARLEY_LISTEN=127.0.0.1:0", "PARLEY_DATA=" + t.TempDir()}
	var log bytes.Buffer
	cmd.Stderr = &log
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err = cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(stdout)
	var said, url string
	for lines.Scan() && !strings.Contains(lines.Text(), "Ctrl-C") {
		said += lines.Text() + "\n"
		if _, at, found := strings.Cut(lines.Text(), "runs on "); found {
			url = at
		}
	}
	shown := passwordShown.FindStringSubmatch(said)
	if url == "" || shown == nil {
		t.Fatalf("it said %q; its log: %s", said, log.String())
	}
	s := &server{url: url}
	s.watch(t)
	admin, err := s.api.Login(ctx, shown[1], shown[2])
	if err != nil {
		t.Fatal(err)
	}
	socket := signedIn(t, s, admin.AccessToken)
	socket.write(`{"type":"join","id":1,"room":"general"}`)
	socket.answer(1)

	stopped := time.Now()
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if got := socket.closedWith(); got != 1012 {
		t.Errorf("an open socket is closed with %v, want 1012", got)
	}
	rest, _ := io.ReadAll(stdout)
	if err := cmd.Wait(); err != nil {
		t.Errorf("exit: %v; %s", err, log.String())
	}
	if took := time.Since(stopped); took > lateAtLast {
		t.Errorf("it took %s to stop; it said %q; %s", took, rest, log.String())
	}
}
