package sqlite

import (
	"testing"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/database"
	"github.com/parley-chat/parley/services/auth/internal/storetest"
)

func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Store {
		t.Helper()
		return open(t, storetest.SQLite(t), "log")
	})
}

func TestTheLobbyKeepsItsName(t *testing.T) {
	path := storetest.SQLite(t)
	open(t, path, "one")
	if log, err := open(t, path, "two").LobbyLog(t.Context()); err != nil || log != "one" {
		t.Fatal(log, err)
	}
}

func open(t *testing.T, path string, log chat.LogID) *Store {
	t.Helper()
	db, err := database.OpenSQLite(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	s, err := Open(t.Context(), db, log)
	if err != nil {
		t.Fatal(err)
	}
	return s
}
