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
	"github.com/parley-chat/parley/services/rooms/internal/sqlstore"
)

// stores are what the service keeps its rooms in.
type stores struct {
	logs   message.Store
	finder room.Finder
	rest   *sqlstore.Store
}

// openStores opens the database of that name and brings its schema up to date. The caller closes it.
func openStores(ctx context.Context, name string, tracer *trace.Tracer, log *slog.Logger) (_ stores, db *database.Database, err error) {
	if db, err = database.OpenSplit(ctx, name, tracer, log); err != nil {
		return stores{}, nil, err
	}
	all := stores{rest: sqlstore.New(db.DB(message.DatabaseAway))}
	if db.SQLite != nil {
		var s *sqlite.Store
		s, err = sqlite.Open(ctx, db.SQLite, room.NewLog())
		all.logs, all.finder = s, s
	} else {
		var s *postgres.Store
		s, err = postgres.Open(ctx, db.Postgres, room.NewLog())
		all.logs, all.finder = s, s
	}
	if err != nil {
		db.Close()
		return stores{}, nil, err
	}
	return all, db, nil
}

// NewLogs gives all logs in the database fresh names and says how many rooms there are: to be run after a
// restore from a backup, while the service is stopped.
func NewLogs(ctx context.Context, name string) (rooms int, err error) {
	s, db, err := openStores(ctx, name, nil, slog.New(slog.NewTextHandler(os.Stderr, nil)))
	if err != nil {
		return 0, err
	}
	defer db.Close()
	return s.rest.RenewLogs(ctx, room.NewLog)
}
