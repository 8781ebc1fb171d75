package rooms

import (
	"context"
	"net/url"

	"github.com/parley-chat/parley/pkg/database"
	"github.com/parley-chat/parley/services/rooms/internal/directory"
	"github.com/parley-chat/parley/services/rooms/internal/ledger"
	"github.com/parley-chat/parley/services/rooms/internal/postgres"
	"github.com/parley-chat/parley/services/rooms/internal/sqlite"
)

// poolSize is how many connections to PostgreSQL a pod may open, where the URL does not say
// (pool_max_conns). Appends wait for their room in the pod, not in the database, so a few suffice.
const poolSize = "16"

// store is a store that is closed when the process ends.
type store struct {
	anyStore

	close func()
}

type anyStore interface {
	ledger.Store
	directory.Store
}

func openStore(ctx context.Context, where string) (*store, error) {
	if path := sqlitePath(where); path != "" {
		db, err := database.OpenSQLite(ctx, path)
		if err != nil {
			return nil, err
		}
		s, err := sqlite.Open(ctx, db, directory.NewLog())
		if err != nil {
			_ = db.Close()
			return nil, err
		}
		return &store{s, func() { _ = db.Close() }}, nil
	}
	pool, err := database.OpenPostgres(ctx, sized(where))
	if err != nil {
		return nil, err
	}
	s, err := postgres.Open(ctx, pool, directory.NewLog())
	if err != nil {
		pool.Close()
		return nil, err
	}
	return &store{s, pool.Close}, nil
}

// sized adds the pool's size to a database URL that names none.
func sized(where string) string {
	u, err := url.Parse(where)
	if err != nil {
		return where // OpenPostgres says what is wrong with it
	}
	query := u.Query()
	if !query.Has("pool_max_conns") {
		query.Set("pool_max_conns", poolSize)
	}
	u.RawQuery = query.Encode()
	return u.String()
}

// Run closes the store when everything that started after it has stopped.
func (s *store) Run(ctx context.Context, ready func()) error {
	ready()
	<-ctx.Done()
	s.close()
	return nil
}

// NewLogs gives all logs in the database fresh names and says how many rooms there are: to be run after a
// restore from a backup, while the service is stopped.
func NewLogs(ctx context.Context, database string) (rooms int, err error) {
	s, err := openStore(ctx, database)
	if err != nil {
		return 0, err
	}
	defer s.close()
	return s.RenewLogs(ctx, directory.NewLog)
}
