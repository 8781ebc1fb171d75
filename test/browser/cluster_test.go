//go:build long

package browser_test

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/client"
	"github.com/parley-chat/parley/test/localcluster"
	"github.com/parley-chat/parley/test/servertest"
)

// launched is what `make run-cluster` runs, with what its table says.
type launched struct {
	*servertest.Server

	data      string
	addresses map[string]string
	pids      map[string]int
	stop      func() error
}

// launch runs the launcher as make run-cluster does, until the test ends.
func launch(t *testing.T) *launched {
	t.Helper()
	password := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(password, []byte(servertest.AdminPassword+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	data := t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, filepath.Join(servertest.BuiltPrograms(t), "parley-test"), "cluster", "run")
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "PARLEY_LISTEN=127.0.0.1:0", "PARLEY_DATA=" + data,
		"PARLEY_ADMIN_USER=" + servertest.AdminName, "PARLEY_ADMIN_PASSWORD_FILE=" + password,
	}
	var log bytes.Buffer
	cmd.Stderr = &log
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err = cmd.Start(); err != nil {
		t.Fatal(err)
	}
	l := &launched{Server: &servertest.Server{}, data: data, addresses: map[string]string{}, pids: map[string]int{}}
	lines := bufio.NewScanner(stdout)
	for lines.Scan() && !strings.Contains(lines.Text(), "Ctrl-C") {
		if _, at, found := strings.Cut(lines.Text(), "runs on "); found {
			l.URL = at
		}
		if row := strings.Fields(lines.Text()); len(row) >= 3 {
			if pid, err := strconv.Atoi(row[2]); err == nil {
				l.addresses[row[0]], l.pids[row[0]] = row[1], pid
			}
		}
	}
	if l.URL == "" {
		t.Fatalf("it did not start: %v; %s", cmd.Wait(), log.String())
	}
	l.API = client.NewHTTP(l.URL, &http.Client{Timeout: 20 * time.Second})
	l.stop = func() error {
		if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
			return err
		}
		_, _ = io.Copy(io.Discard, stdout)
		return cmd.Wait()
	}
	return l
}

// What a person sees of a cluster in which an edge and a rooms pod are killed and Redis is emptied in
// the middle of the talk: every message, once, in order.
func TestBrowsersTalkWhileTheClusterFallsApart(t *testing.T) {
	t.Parallel()
	c := launch(t)
	for _, name := range []string{"postgres", "redis", "auth", "rooms-1", "rooms-2", "edge-1", "edge-2", "edge-3", "web", "proxy"} {
		if c.pids[name] == 0 || c.addresses[name] == "" {
			t.Errorf("%s is not in the table", name)
		}
	}
	if signIn, err := c.API.Login(t.Context(), servertest.AdminName, servertest.AdminPassword); err != nil || !signIn.User.Staff {
		t.Fatal(signIn.User, err)
	}
	checkPasses(t, c)
	alice, bob := browse(t, c.Server), browse(t, c.Server)
	alice.signUp("alice")
	bob.signUp("bob")
	alice.open("general")
	bob.open("general")
	var said []string
	both := func(when string) {
		t.Helper()
		for _, b := range []*tab{alice, bob} {
			text := strconv.Itoa(len(said)) + " " + when
			b.say("general", text)
			said = append(said, text)
		}
		for _, b := range []*tab{alice, bob} {
			b.shows("general", said[len(said)-1])
			b.shows("general", said[len(said)-2])
		}
	}
	both("before anything")
	for _, name := range []string{"edge-1", "rooms-1", "edge-2", "edge-3"} {
		if err := syscall.Kill(c.pids[name], syscall.SIGKILL); err != nil {
			t.Fatal(name, err)
		}
		both("after " + name)
	}
	redisPassword, err := os.ReadFile(filepath.Join(c.data, "redis-password"))
	if err != nil {
		t.Fatal(err)
	}
	redis := localcluster.Redis{Address: c.addresses["redis"], Password: strings.TrimSpace(string(redisPassword))}
	if answer, err := redis.Do(t.Context(), "FLUSHALL"); err != nil || answer != "OK" {
		t.Fatal(answer, err)
	}
	redis.Password = "another"
	if _, err := redis.Do(t.Context(), "PING"); err == nil || !strings.Contains(err.Error(), "WRONGPASS") {
		t.Error("whoever is on this machine may publish:", err)
	}
	both("after redis was emptied")
	for name, b := range map[string]*tab{"alice": alice, "bob": bob} {
		shown := `[...document.querySelectorAll('[data-open-room="general"] .messages [data-message-id]')]`
		ids, want := b.text(`JSON.stringify(`+shown+`.map(m => +m.dataset.messageId))`), make([]int, len(said))
		for i := range want {
			want[i] = i + 1
		}
		if ids != jsonOf(want) {
			t.Errorf("%s sees messages %s, want %s", name, ids, jsonOf(want))
		}
		texts := b.text(`JSON.stringify(` + shown + `.map(m => m.querySelector('.body').textContent).sort((a, b) => parseInt(a) - parseInt(b)))`)
		if texts != jsonOf(said) { // the two of a round may stand either way round
			t.Errorf("%s sees %s, want %s", name, texts, jsonOf(said))
		}
		b.online()
		if errs := b.uncaught(); len(errs) > 0 {
			t.Errorf("%s: uncaught: %v", name, errs)
		}
	}
	if err := c.stop(); err != nil {
		t.Error("Ctrl-C:", err)
	}
	for name, pid := range c.pids {
		if syscall.Kill(pid, 0) == nil {
			t.Errorf("%s still runs", name)
		}
	}
}

// checkPasses has the administrator check a cluster that is as it should be. It leaves nothing behind.
func checkPasses(t *testing.T, c *launched) {
	t.Helper()
	flags := []string{
		"--auth=http://" + c.addresses["auth"], "--rooms=http://" + c.addresses["rooms-1"], "--web=http://" + c.addresses["web"],
		"--edges=" + c.addresses["edge-1"] + "," + c.addresses["edge-2"],
	}
	account := []string{"PARLEY_CHECK_USER=" + servertest.AdminName, "PARLEY_CHECK_PASSWORD=" + servertest.AdminPassword}
	said, err := servertest.StewardCheck(t, account, flags...)
	if err != nil {
		t.Fatal(said)
	}
	for _, want := range []string{
		"the page is served", "as " + servertest.AdminName, "at the edges ", "10 messages, in the same order at both",
		"resumed at the other edge with the 5 missed messages", "has all 15 messages", "OK: people can talk",
	} {
		if !strings.Contains(said, want) {
			t.Errorf("it does not say %q:\n%s", want, said)
		}
	}
	staff, err := c.API.Login(t.Context(), servertest.AdminName, servertest.AdminPassword)
	if err != nil {
		t.Fatal(err)
	}
	made := regexp.MustCompile(`check-[a-z2-7]{12}`).FindString(said)
	if _, err = c.API.Room(t.Context(), staff.AccessToken, chat.Slug(made)); chat.CodeOf(err) != chat.CodeNotFound {
		t.Errorf("the room %q is still there: %v", made, err)
	}
}
