package postgres

import (
	"testing"

	"github.com/parley-chat/parley/pkg/database"
	"github.com/parley-chat/parley/pkg/databasetest"
	"github.com/parley-chat/parley/services/auth/internal/storetest"
)

// Every write is on disk when it is acked, whatever the sessions say.
func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Store {
		t.Helper()
		return openStore(t)
	})
}

func openStore(t *testing.T) *Store {
	t.Helper()
	where := storetest.Postgres(t)
	pool, err := database.OpenPostgres(t.Context(), where)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	s, err := Open(t.Context(), databasetest.Careless(t, pool), "log")
	if err != nil {
		t.Fatal(err)
	}
	databasetest.RefuseCareless(t, where)
	return s
}
