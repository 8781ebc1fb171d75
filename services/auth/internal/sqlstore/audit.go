package sqlstore

import (
	"context"
	"time"

	"github.com/parley-chat/parley/pkg/audit"
)

// AuditPage returns the audit entries that f chooses, newest first.
func (s *Store) AuditPage(ctx context.Context, f audit.Filter) ([]audit.Entry, error) {
	return s.audit.Page(ctx, s.db, f)
}

// PruneAudit deletes audit entries from before a moment, a bounded number, and returns how many.
func (s *Store) PruneAudit(ctx context.Context, before time.Time) (int, error) {
	return s.audit.Prune(ctx, s.db, before)
}
