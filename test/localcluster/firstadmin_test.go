package localcluster

import (
	"slices"
	"strings"
	"testing"

	"github.com/parley-chat/parley/pkg/datadir"
)

func TestGeneratedPasswordIsShownUntilTheFirstStartIsDone(t *testing.T) {
	dir, err := datadir.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = dir.Close() })
	start := func(named string) firstAdmin {
		t.Helper()
		a, err := firstAdminFor(dir, named)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	first := start("")
	if env := first.environ(); len(env) != 2 || env[0] != "PARLEY_ADMIN_USER=admin" || !strings.HasPrefix(env[1], "PARLEY_ADMIN_PASSWORD=") {
		t.Fatal(env)
	}
	_, password, _ := strings.Cut(first.environ()[1], "=")
	if len(password) < 20 || !strings.Contains(first.hint(), password) {
		t.Error(password, first.hint())
	}
	// A start that failed half way may have made the account: the next one names the same password.
	if again := start(""); !slices.Equal(again.environ(), first.environ()) {
		t.Error(again.environ())
	}
	if err := first.done(); err != nil {
		t.Fatal(err)
	}
	if later := start(""); later.environ() != nil || strings.Contains(later.hint(), password) {
		t.Error(later)
	}
	if named := start("bob"); named.environ() != nil || !strings.Contains(named.hint(), "bob") {
		t.Error(named)
	}
}
