package sqlstore

import (
	"context"
	"time"

	"github.com/parley-chat/parley/pkg/audit"
	"github.com/parley-chat/parley/pkg/audit/audittable"
)

// Audit is the table of the rooms' audit entries.
const Audit = audittable.Table("rooms_audit")

// AuditPage returns the entries that f chooses, newest first, f.Limit at most.
func (s *Store) AuditPage(ctx context.Context, f audit.Filter) ([]audit.Entry, error) {
	return Audit.Page(ctx, s.db, f)
}

// PruneAudit deletes audit entries from before a moment, a bounded number, and returns how many.
func (s *Store) PruneAudit(ctx context.Context, before time.Time) (int, error) {
	return Audit.Prune(ctx, s.db, before)
}
