package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/client"
)

// stewardCheck runs `steward check` as `helm test` does, and returns what it says.
func stewardCheck(t *testing.T, environment []string, flags ...string) (said string, err error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), filepath.Join(programs(t), "steward"), append([]string{"check"}, flags...)...)
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH")}, environment...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func TestCheckSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	s := serve(t, t.TempDir())
	for name, c := range map[string]struct {
		environment, flags []string
		want               string
	}{
		"a wrong password": {
			[]string{"PARLEY_CHECK_USER=" + adminName, "PARLEY_CHECK_PASSWORD=wrong"},
			[]string{"--url=" + s.url},
			"FAILED at sign in: no account has this PARLEY_CHECK_USER and PARLEY_CHECK_PASSWORD",
		},
		"no such room":  {nil, []string{"--url=" + s.url, "--room=nowhere"}, "FAILED at room: there is no room nowhere that a guest may join"},
		"no edge":       {nil, []string{"--auth=" + s.url, "--rooms=" + s.url, "--edges=127.0.0.1:1", "--timeout=1s"}, "FAILED at sockets: dial tcp 127.0.0.1:1"},
		"nobody":        {nil, []string{"--url=http://127.0.0.1:1", "--timeout=1s"}, "FAILED at web"},
		"half of it":    {nil, []string{"--auth=" + s.url}, "give either --url"},
		"half of whom":  {[]string{"PARLEY_CHECK_USER=" + adminName}, []string{"--url=" + s.url}, "must be set together"},
		"only one edge": {nil, []string{"--auth=" + s.url, "--rooms=" + s.url, "--edges=" + strings.TrimPrefix(s.url, "http://")}, "both at the only edge"},
	} {
		t.Run(name, func(t *testing.T) {
			said, err := stewardCheck(t, c.environment, c.flags...)
			if passes := name == "only one edge"; passes != (err == nil) || !strings.Contains(said, c.want) {
				t.Errorf("%v; it says:\n%s", err, said)
			}
		})
	}
	guest, err := s.api.Guest(t.Context(), "looks")
	if err != nil {
		t.Fatal(err)
	}
	said, err := stewardCheck(t, nil, "--url="+s.url)
	if err != nil {
		t.Fatal(said)
	}
	page, err := s.api.Messages(t.Context(), guest.AccessToken, "general", client.MessageQuery{Limit: 50})
	if err != nil || slices.ContainsFunc(page.Messages, func(m chat.Message) bool { return !m.Deleted }) {
		t.Errorf("a guest leaves messages behind: %v, %v", page.Messages, err)
	}
}

// TestCheckHasAnAccountOfItsOwn: the administrator makes it once, and may change the password then.
func TestCheckHasAnAccountOfItsOwn(t *testing.T) {
	t.Parallel()
	s := serve(t, t.TempDir())
	own := []string{"PARLEY_CHECK_USER=helm-test-A2B3", "PARLEY_CHECK_PASSWORD=a password of its own"}
	for _, password := range []string{adminPassword, "changed by now"} {
		environment := append([]string{"PARLEY_CHECK_ADMIN_USER=" + adminName, "PARLEY_CHECK_ADMIN_PASSWORD=" + password}, own...)
		said, err := stewardCheck(t, environment, "--url="+s.url, "--make-account")
		if err != nil || !strings.Contains(said, "helm-test-A2B3, user") || !strings.Contains(said, "created check-") {
			t.Errorf("%v; it says:\n%s", err, said)
		}
	}
}
