package firstadmin

import (
	"slices"
	"strings"
	"testing"

	"github.com/parley-chat/parley/services/standalone/internal/datadir"
)

func TestGeneratedPasswordIsShownUntilTheFirstStartIsDone(t *testing.T) {
	dir, err := datadir.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = dir.Close() })
	start := func(named string) Admin {
		t.Helper()
		a, err := For(dir, named)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	first := start("")
	if env := first.Environ(); len(env) != 2 || env[0] != "PARLEY_ADMIN_USER=admin" || !strings.HasPrefix(env[1], "PARLEY_ADMIN_PASSWORD=") {
		t.Fatal(env)
	}
	_, password, _ := strings.Cut(first.Environ()[1], "=")
	if len(password) < 20 || !strings.Contains(first.Hint(), password) {
		t.Error(password, first.Hint())
	}
	// A start that failed half way may have made the account: the next one names the same password.
	if again := start(""); !slices.Equal(again.Environ(), first.Environ()) {
		t.Error(again.Environ())
	}
	if err := first.Done(); err != nil {
		t.Fatal(err)
	}
	if later := start(""); later.Environ() != nil || strings.Contains(later.Hint(), password) {
		t.Error(later)
	}
	if named := start("bob"); named.Environ() != nil || !strings.Contains(named.Hint(), "bob") {
		t.Error(named)
	}
}
