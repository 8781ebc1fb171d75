package command

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/parley-chat/parley/pkg/env"
	"github.com/parley-chat/parley/services/auth/internal/storetest"
)

// run runs auth with args, on a database, with input on its standard input.
func run(t *testing.T, database, input string, args ...string) (string, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "in")
	if err := os.WriteFile(path, []byte(input), 0o600); err != nil {
		t.Fatal(err)
	}
	stdin, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stdin.Close() }()
	values := map[string]string{"PARLEY_AUTH_DATABASE": database}
	var out strings.Builder
	err = Run(env.New(func(name string) (string, bool) { v, ok := values[name]; return v, ok }), args, stdin, &out)
	return out.String(), err
}

func TestCreateSuperuser(t *testing.T) {
	database := "sqlite:" + storetest.SQLite(t)
	secret := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(secret, []byte("a good enough secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		input string
		args  []string
		want  string // in the output, or in the error
	}{
		{"a good enough secret\n", []string{"one"}, `made the staff account "one"`},
		{"a good enough secret", []string{"-username", "two"}, `"two"`},
		{"", []string{"three", "-password-file", secret}, `"three"`},
		{"", []string{"-password-file", secret, "four"}, `"four"`},
		{"a good enough secret\n", []string{"ONE"}, "conflict"},
		{"password\n", []string{"five"}, "most common"},
		{"", []string{"five"}, "standard input"},
		{"", []string{"-password-file", secret + "x", "five"}, "no such file"},
		{"", nil, "usage"},
		{"", []string{"five", "six"}, "usage"},
		{"", []string{"-x"}, "usage"},
	} {
		out, err := run(t, database, c.input, append([]string{"createsuperuser"}, c.args...)...)
		made := strings.HasPrefix(c.want, "made") || strings.HasPrefix(c.want, `"`)
		if (err == nil) != made || err == nil && !strings.Contains(out, c.want) || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: %q, %v", c.args, out, err)
		}
		if strings.Contains(out, "secret") {
			t.Errorf("%v shows the password: %q", c.args, out)
		}
	}
}

func TestRotateKeys(t *testing.T) {
	out, err := run(t, "sqlite:"+storetest.SQLite(t), "", "rotatekeys")
	if err != nil || !strings.HasPrefix(out, "the next key signs from ") {
		t.Error(out, err)
	}
}

func TestNewLogs(t *testing.T) {
	out, err := run(t, "sqlite:"+storetest.SQLite(t), "", "renewlogs")
	if err != nil || out != "renewed the name of the lobby's log\n" {
		t.Error(out, err)
	}
}

func TestMistakesArePlain(t *testing.T) {
	for _, args := range [][]string{{"createsuperuser", "x"}, {"rotatekeys"}, {"renewlogs"}, {"newlogs"}} {
		if _, err := run(t, "", "a good enough secret", args...); err == nil || !strings.Contains(err.Error(), "PARLEY_AUTH_DATABASE") {
			t.Error(args, err)
		}
	}
	if _, err := run(t, "", "", "dance"); err == nil || !strings.Contains(err.Error(), "usage") {
		t.Error(err)
	}
}
