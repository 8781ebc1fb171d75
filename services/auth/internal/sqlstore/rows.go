package sqlstore

import (
	"crypto/ed25519"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/database"
	"github.com/parley-chat/parley/pkg/lobby"
	"github.com/parley-chat/parley/services/auth/internal/account"
	"github.com/parley-chat/parley/services/auth/internal/keys"
	"github.com/parley-chat/parley/services/auth/internal/session"
)

// The columns that the functions below read, in their order. sessionFrom joins a session s to its account a.
const (
	accountColumns = `tenant, id, username, username_key, coalesce(folded, ''), coalesce(skeleton, ''), password, staff, disabled, generation, created_at`
	// newAccount names the columns that accountRow fills.
	newAccount     = `tenant, id, username, username_key, folded, skeleton, name_rule, password, staff, disabled, generation, created_at`
	sessionColumns = `s.tenant, s.id, s.user_id, coalesce(s.guest_name, a.username), s.guest_name IS NOT NULL,
		coalesce(a.staff, false), coalesce(a.generation, 0), s.family, s.created_at, s.used_at`
	sessionFrom = `auth_sessions s LEFT JOIN auth_accounts a
		ON a.tenant = s.tenant AND a.id = s.user_id AND s.guest_name IS NULL`
	sessionLives   = `(s.guest_name IS NOT NULL OR NOT a.disabled)`
	refreshColumns = `r.hash, r.parent, r.issued_at, coalesce(r.used_at, 0), coalesce(o.hash, ''), coalesce(o.used_at, 0)`
	// refreshFrom joins a refresh token r to those given beside it that were used; the first of them is to be read.
	refreshFrom = `auth_refresh_tokens r LEFT JOIN auth_refresh_tokens o
		ON o.tenant = r.tenant AND o.session_id = r.session_id AND o.parent = r.parent AND o.hash <> r.hash AND o.used_at IS NOT NULL`
	refreshOrder = `ORDER BY o.used_at, o.hash LIMIT 1`
	keyColumns   = `id, seed, created_at, coalesce(activated_at, 0), coalesce(retires_at, 0)`
)

// readAccount reads accountColumns.
func readAccount(row database.Row) (account.Account, error) {
	var a account.Account
	var created int64
	err := row.Scan(&a.Tenant, &a.ID, &a.Username, &a.Key, &a.Folded, &a.Skeleton, &a.Hash, &a.Staff, &a.Disabled, &a.Generation, &created)
	a.Created = toTime(created)
	return a, found(err, "account")
}

// readUsername reads tenant, id and username.
func readUsername(row database.Row) (a account.Account, err error) {
	if err := row.Scan(&a.Tenant, &a.ID, &a.Username); err != nil {
		return a, fmt.Errorf("reading a name: %w", err)
	}
	return a, nil
}

// accountRow is a as newAccount has it. An account without the forms of its name gets them later.
func accountRow(a account.Account) []any {
	rule := account.NameRule
	if a.Folded == "" {
		rule = 0
	}
	return []any{
		a.Tenant, a.ID, a.Username, a.Key, orNull(a.Folded), orNull(a.Skeleton), rule,
		a.Hash, a.Staff, a.Disabled, a.Generation, millis(a.Created),
	}
}

// orNull is text with NULL for an empty one.
func orNull(text string) any {
	if text == "" {
		return nil
	}
	return text
}

// readSession reads sessionColumns.
func readSession(row database.Row) (session.Session, error) {
	var s session.Session
	var guest bool
	var created, used int64
	err := row.Scan(&s.Tenant, &s.ID, &s.User.ID, &s.User.Name, &guest, &s.User.Staff, &s.Generation, &s.Family, &created, &used)
	s.User.Kind = chat.KindUser
	if guest {
		s.User.Kind = chat.KindGuest
	}
	s.Created, s.Used = toTime(created), toTime(used)
	return s, found(err, "session")
}

// readRefresh reads refreshColumns; no row is nil.
func readRefresh(row database.Row) (*session.Refresh, error) {
	var r session.Refresh
	var issued, used, sibling int64
	err := row.Scan(&r.Hash, &r.Parent, &issued, &used, &r.Sibling, &sibling)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil //nolint:nilnil // no token is an answer
	}
	if err != nil {
		return nil, fmt.Errorf("reading a refresh token: %w", err)
	}
	r.Issued, r.Used, r.SiblingUsed = toTime(issued), toTime(used), toTime(sibling)
	return &r, nil
}

// readKey reads keyColumns.
func readKey(row database.Row) (keys.Key, error) {
	var k keys.Key
	var seed []byte
	var created, activated, retires int64
	if err := row.Scan(&k.ID, &seed, &created, &activated, &retires); err != nil {
		return k, fmt.Errorf("reading a signing key: %w", err)
	}
	if len(seed) != ed25519.SeedSize {
		return k, fmt.Errorf("signing key %s has %d bytes", k.ID, len(seed))
	}
	k.Private = ed25519.NewKeyFromSeed(seed)
	k.Created, k.Activated, k.Retires = toTime(created), toTime(activated), toTime(retires)
	return k, nil
}

// raised is the event of an account's new generation.
func raised(a account.Account, seq chat.Seq, now time.Time) lobby.Event {
	return lobby.Event{
		Seq: seq, Kind: lobby.GenerationRaised, Tenant: a.Tenant, At: chat.At(now),
		User: a.ID, Generation: a.Generation,
	}
}

// ended is the event of a session's end.
func ended(tenant chat.TenantID, user chat.UserID, id chat.SessionID, seq chat.Seq, now time.Time) lobby.Event {
	return lobby.Event{
		Seq: seq, Kind: lobby.SessionEnded, Tenant: tenant, At: chat.At(now),
		User: user, Session: id,
	}
}

// toTime is the moment that is ms milliseconds after 1970, zero for 0.
func toTime(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// millis undoes toTime.
func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// orNullTime is millis with NULL for the zero time.
func orNullTime(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixMilli()
}

// guestName is what the column guest_name holds for u.
func guestName(u chat.User) any {
	if u.Kind == chat.KindGuest {
		return u.Name
	}
	return nil
}

// found tells a missing row from a failure.
func found(err error, what string) error {
	if errors.Is(err, sql.ErrNoRows) {
		return chat.Errorf(chat.CodeNotFound, "there is no such %s", what)
	}
	if err != nil {
		return fmt.Errorf("reading an %s: %w", what, err)
	}
	return nil
}
