package rooms

import (
	"context"
	"log/slog"
	"os"

	"github.com/parley-chat/parley/pkg/database"
	"github.com/parley-chat/parley/pkg/trace"
	"github.com/parley-chat/parley/services/rooms/internal/message"
	"github.com/parley-chat/parley/services/rooms/internal/postgres"
	"github.com/parley-chat/parley/services/rooms/internal/room"
	"github.com/parley-chat/parley/services/rooms/internal/sqlite"
)

// store is what the service keeps its rooms in.
type store interface {
	message.Store
	room.Store
}

// openStore opens the database of that name and brings its schema up to date. The caller closes it.
func openStore(ctx context.Context, name string, tracer *trace.Tracer, log *slog.Logger) (s store, db *database.Database, err error) {
	if db, err = database.Open(ctx, name, tracer, log); err != nil {
		return nil, nil, err
	}
	if db.SQLite != nil {
		s, err = sqlite.Open(ctx, db.SQLite, room.NewLog())
	} else {
		s, err = postgres.Open(ctx, db.Postgres, room.NewLog())
	}
	if err != nil {
		db.Close()
		return nil, nil, err
	}
	return s, db, nil
}

// NewLogs gives all logs in the database fresh names and says how many rooms there are: to be run after a
// restore from a backup, while the service is stopped.
func NewLogs(ctx context.Context, name string) (rooms int, err error) {
	s, db, err := openStore(ctx, name, nil, slog.New(slog.NewTextHandler(os.Stderr, nil)))
	if err != nil {
		return 0, err
	}
	defer db.Close()
	return s.RenewLogs(ctx, room.NewLog)
}
