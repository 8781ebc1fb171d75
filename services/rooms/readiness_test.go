package rooms

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/parley-chat/parley/pkg/database"
	"github.com/parley-chat/parley/services/rooms/internal/storetest"
)

// A backup from before an upgrade is restored under a pod that runs.
func TestAnOlderSchemaMakesUnready(t *testing.T) {
	t.Parallel()
	url := storetest.Postgres(t)
	s := start(t, configOf(t, newAuthority(t), map[string]string{"PARLEY_ROOMS_DATABASE": url}))
	s.ready.Set(true)
	db, err := database.OpenPostgres(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(t.Context(), "DELETE FROM rooms_schema_versions WHERE version_id > 0"); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(30 * time.Second); s.ready.Ready(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("still ready")
		}
	}
	if reasons := fmt.Sprint(s.ready.Reasons()); !strings.Contains(reasons, "rooms database: the database's schema is of version 0") || !strings.Contains(s.logs.String(), "not ready") {
		t.Error(reasons, s.logs)
	}
}
