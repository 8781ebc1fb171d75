package auth

import (
	"context"
	"net/url"
	"time"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/database"
	"github.com/parley-chat/parley/pkg/webapi"
	"github.com/parley-chat/parley/services/auth/internal/account"
	"github.com/parley-chat/parley/services/auth/internal/httpapi"
	"github.com/parley-chat/parley/services/auth/internal/keys"
	"github.com/parley-chat/parley/services/auth/internal/postgres"
	"github.com/parley-chat/parley/services/auth/internal/session"
	"github.com/parley-chat/parley/services/auth/internal/sqlite"
)

// poolSize is how many connections to PostgreSQL a pod may open, where the URL does not say (pool_max_conns).
const poolSize = "16"

// store is a store that is closed when the process ends.
type store struct {
	anyStore

	close func()
}

type anyStore interface {
	account.Store
	account.FirstStore
	session.Store
	keys.Store
	httpapi.Lobby
	lobbyKeeper
}

// lobbyKeeper is what the service itself does with the lobby.
type lobbyKeeper interface {
	// LobbyLog returns the name of the lobby's log.
	LobbyLog(ctx context.Context) (chat.LogID, error)
	// PruneLobby forgets events from before a moment, the oldest first.
	PruneLobby(ctx context.Context, before time.Time) error
}

func openStore(ctx context.Context, where string) (*store, error) {
	log := chat.LogID(webapi.NewID())
	if path := sqlitePath(where); path != "" {
		db, err := database.OpenSQLite(ctx, path)
		if err != nil {
			return nil, err
		}
		s, err := sqlite.Open(ctx, db, log)
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
	s, err := postgres.Open(ctx, pool, log)
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
