package database

import (
	"context"
	"log/slog"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/parley-chat/parley/pkg/trace"
)

// generalShare is the part of a pod's connections to PostgreSQL that its general pool may open, one of this many.
const generalShare = 4

// OpenSplit is Open with two pools of PostgreSQL in place of one. Database.Postgres is for the statements that all
// go by an index, with one plan each. What DB returns runs on the other, which plans each statement by its values:
// lists, searches, counts. A quarter of the connections is for the latter, so that neither can take all from the
// other; each pool has one at least.
func OpenSplit(ctx context.Context, name string, tracer *trace.Tracer, log *slog.Logger) (*Database, error) {
	if sqlitePath(name) != "" {
		return Open(ctx, name, tracer, log)
	}
	config, err := parse(withPoolSize(name))
	if err != nil {
		return nil, err
	}
	if err = reachable(ctx, config, log); err != nil {
		return nil, err
	}
	general := config.Copy()
	general.MaxConns = max(1, config.MaxConns/generalShare)
	general.MinConns, general.MinIdleConns = 0, 0
	general.ConnConfig.ValidateConnect = prepare(ownPlan)
	config.MaxConns = max(1, config.MaxConns-general.MaxConns)
	config.MinConns, config.MinIdleConns = min(config.MinConns, config.MaxConns), min(config.MinIdleConns, config.MaxConns)
	d := &Database{}
	if d.Postgres, err = newPool(ctx, config, tracer); err != nil {
		return nil, err
	}
	if d.general, err = newPool(ctx, general, tracer); err != nil {
		d.Postgres.Close()
		return nil, err
	}
	return d, nil
}

// pools are those of PostgreSQL.
func (d *Database) pools() (all []*pgxpool.Pool) {
	for _, pool := range []*pgxpool.Pool{d.Postgres, d.general} {
		if pool != nil {
			all = append(all, pool)
		}
	}
	return all
}
