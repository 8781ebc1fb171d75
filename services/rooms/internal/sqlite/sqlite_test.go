package sqlite

import (
	"path/filepath"
	"testing"

	"github.com/parley-chat/parley/pkg/database"
	"github.com/parley-chat/parley/services/rooms/internal/room"
	"github.com/parley-chat/parley/services/rooms/internal/storetest"
)

func TestContract(t *testing.T) {
	fresh := func(t *testing.T) storetest.Backend {
		t.Helper()
		path := filepath.Join(t.TempDir(), "rooms.db")
		return storetest.Backend{
			Open: func(t *testing.T) storetest.Store {
				t.Helper()
				s := open(t, path)
				return storetest.NewStore(s, &database.Database{SQLite: s.db})
			},
			Exec: func(t *testing.T, statement string) { t.Helper(); execute(t, path, statement) },
			Poison: func(t *testing.T, body string) {
				t.Helper()
				execute(t, path, `CREATE TRIGGER poison BEFORE INSERT ON room_log WHEN NEW.body = '`+body+`' BEGIN SELECT RAISE(ABORT, 'poisoned'); END`)
			},
		}
	}
	storetest.Run(t, fresh)
	storetest.RunTables(t, fresh)
}

func open(t *testing.T, path string) *Store {
	t.Helper()
	db, err := database.OpenSQLite(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	s, err := Open(t.Context(), db, room.NewLog())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func execute(t *testing.T, path, statement string) {
	t.Helper()
	if _, err := open(t, path).db.ExecContext(t.Context(), statement); err != nil {
		t.Fatal(err)
	}
}
