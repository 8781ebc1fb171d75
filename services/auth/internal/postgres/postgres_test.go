package postgres

import (
	"testing"

	"github.com/parley-chat/parley/pkg/database"
	"github.com/parley-chat/parley/services/auth/internal/storetest"
)

func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Store {
		t.Helper()
		return openStore(t)
	})
}

func openStore(t *testing.T) *Store {
	t.Helper()
	pool, err := database.OpenPostgres(t.Context(), storetest.Postgres(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	s, err := Open(t.Context(), pool, "log")
	if err != nil {
		t.Fatal(err)
	}
	return s
}
