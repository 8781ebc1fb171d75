package auth

import (
	"context"
	"log/slog"
	"os"
	"time"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/database"
	"github.com/parley-chat/parley/pkg/trace"
	"github.com/parley-chat/parley/pkg/webapi"
	"github.com/parley-chat/parley/services/auth/internal/account"
	"github.com/parley-chat/parley/services/auth/internal/httpapi"
	"github.com/parley-chat/parley/services/auth/internal/keys"
	"github.com/parley-chat/parley/services/auth/internal/session"
	"github.com/parley-chat/parley/services/auth/internal/sqlstore"
)

// store is what the service keeps its accounts in.
type store interface {
	accountStore
	session.Store
	keys.Store
	httpapi.Lobby
	lobbyStore
	sweepStore
}

// accountStore is what accounts are kept in.
type accountStore interface {
	account.Store
	account.FirstStore
}

// lobbyStore is what the service itself does with the lobby.
type lobbyStore interface {
	// LobbyLog returns the name of the lobby's log.
	LobbyLog(ctx context.Context) (chat.LogID, error)
	// RenewLobby gives the lobby's log another name.
	RenewLobby(ctx context.Context, log chat.LogID) error
}

// sweepStore is what the sweeper deletes from.
type sweepStore interface {
	account.NameStore
	// PruneLobby deletes events from before a moment, the oldest first and a bounded number, and returns how many.
	PruneLobby(ctx context.Context, before time.Time) (int, error)
	// PruneAudit deletes audit entries from before a moment, a bounded number, and returns how many.
	PruneAudit(ctx context.Context, before time.Time) (int, error)
}

// openStore opens the database of that name and brings its schema up to date. The caller closes it.
func openStore(ctx context.Context, name string, tracer *trace.Tracer, log *slog.Logger) (s store, db *database.Database, err error) {
	if db, err = database.Open(ctx, name, tracer, log); err != nil {
		return nil, nil, err
	}
	s, err = sqlstore.Open(ctx, db, newLog())
	if err != nil {
		db.Close()
		return nil, nil, err
	}
	return s, db, nil
}

// commandLog is the log of a command, on the terminal of its caller.
func commandLog() *slog.Logger { return slog.New(slog.NewTextHandler(os.Stderr, nil)) }

func newLog() chat.LogID { return chat.LogID(webapi.NewID()) }

// NewLogs gives the lobby's log another name: to be run after a restore from a backup, while the service
// is stopped, so that nobody takes a lobby that went back in time for the one that they knew.
func NewLogs(ctx context.Context, c StoreConfig) error {
	s, db, err := openStore(ctx, c.Database, nil, commandLog())
	if err != nil {
		return err
	}
	defer db.Close()
	return s.RenewLobby(ctx, newLog())
}
