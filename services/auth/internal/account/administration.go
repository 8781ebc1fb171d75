package account

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/parley-chat/parley/pkg/audit"
	"github.com/parley-chat/parley/pkg/chat"
)

// Patch is what staff may change of an account; nil leaves a thing as it is.
type Patch struct {
	Staff    *bool
	Disabled *bool
	Password *string
}

// Change applies p. Tokens from before are void wherever it matters; being disabled and a new
// password end the account's sessions as well. chat.CodeConflict where it would take the last
// administrator away, chat.CodeNotFound where there is no such account.
func (s *Accounts) Change(ctx context.Context, tenant chat.TenantID, id chat.UserID, p Patch, by audit.Origin) (Account, error) {
	a, err := s.store.AccountByID(ctx, tenant, id)
	if err != nil {
		return Account{}, fmt.Errorf("looking an account up: %w", err)
	}
	hash := ""
	if p.Password != nil {
		if err = CheckPassword(*p.Password, FormsOf(a.Username)); err != nil {
			return Account{}, err
		}
		if hash, err = s.hasher.Hash(ctx, *p.Password); err != nil {
			return Account{}, err
		}
	}
	return s.change(ctx, tenant, id, func(a *Account, others int) (Effect, error) {
		var effect Effect
		record := func(action audit.Action) {
			effect.Audit = append(effect.Audit, by.Entry(tenant, s.now(), action, string(id), nil))
		}
		before := *a
		if p.Staff != nil && *p.Staff != a.Staff {
			a.Staff = *p.Staff
			effect.Revoke = true
			record(either(a.Staff, audit.StaffGranted, audit.StaffRevoked))
		}
		if p.Disabled != nil && *p.Disabled != a.Disabled {
			a.Disabled = *p.Disabled
			record(either(a.Disabled, audit.AccountDisabled, audit.AccountEnabled))
			if a.Disabled {
				effect.Revoke, effect.End = true, true
			}
		}
		if hash != "" {
			a.Hash = hash
			record(either(by.Actor == id, audit.PasswordChanged, audit.PasswordReset))
			effect.Revoke, effect.End = true, true
		}
		if *a == before {
			return Effect{}, errNoChange
		}
		return effect, keepOne(before, *a, others)
	})
}

// Erase deletes an account, its sessions and tokens: chat.CodeConflict for the last administrator.
func (s *Accounts) Erase(ctx context.Context, tenant chat.TenantID, id chat.UserID, by audit.Origin) error {
	_, err := s.change(ctx, tenant, id, func(a *Account, others int) (Effect, error) {
		entry := by.Entry(tenant, s.now(), audit.AccountErased, string(id), nil)
		return Effect{Revoke: true, End: true, Erase: true, Audit: []audit.Entry{entry}}, keepOne(*a, Account{}, others)
	})
	return err
}

// ChangePassword replaces a password by its owner, who knows the current one. It ends all of the
// account's sessions, that of the caller too: whoever had got in is out. Errors are those of LogIn and CheckPassword.
func (s *Accounts) ChangePassword(ctx context.Context, tenant chat.TenantID, id chat.UserID, current, fresh, from string, by audit.Origin) (Account, error) {
	a, err := s.store.AccountByID(ctx, tenant, id)
	if err != nil {
		return Account{}, fmt.Errorf("looking an account up: %w", err)
	}
	if err = CheckPassword(fresh, FormsOf(a.Username)); err != nil {
		return Account{}, err
	}
	if _, err = s.LogIn(ctx, tenant, a.Username, current, from); err != nil {
		if chat.CodeOf(err) == chat.CodeUnauthenticated {
			return Account{}, chat.Errorf(chat.CodeForbidden, "the current password is wrong")
		}
		return Account{}, err
	}
	return s.Change(ctx, tenant, id, Patch{Password: &fresh}, by)
}

// List returns a page of accounts whose name contains part, ordered by name, and the cursor of the
// next page, "" for none.
func (s *Accounts) List(ctx context.Context, tenant chat.TenantID, part, cursor string, limit int) (page []Account, next string, err error) {
	var forms Forms // all accounts have these in their names
	if strings.Trim(part, " \x00") != "" {
		forms = FormsOf(part)
	}
	page, err = s.store.Accounts(ctx, tenant, forms, cursor, limit+1)
	if err != nil {
		return nil, "", fmt.Errorf("listing accounts: %w", err)
	}
	if len(page) > limit {
		page = page[:limit]
		next = page[limit-1].Key
	}
	return page, next, nil
}

func (s *Accounts) change(ctx context.Context, tenant chat.TenantID, id chat.UserID, change func(*Account, int) (Effect, error)) (Account, error) {
	var effect Effect
	a, events, err := s.store.ChangeAccount(ctx, tenant, id, s.now(), func(a *Account, others int) (_ Effect, err error) {
		effect, err = change(a, others)
		return effect, err
	})
	if errors.Is(err, errNoChange) {
		return s.store.AccountByID(ctx, tenant, id)
	}
	if err != nil {
		return Account{}, fmt.Errorf("changing an account: %w", err)
	}
	if len(events) > 0 {
		s.announce.Announce(ctx, events)
	}
	audit.Log(ctx, s.log, effect.Audit...)
	return a, nil
}

func either(first bool, a, b audit.Action) audit.Action {
	if first {
		return a
	}
	return b
}

// keepOne refuses to leave nobody who could administer.
func keepOne(before, after Account, others int) error {
	was := before.Staff && !before.Disabled
	is := after.Staff && !after.Disabled
	if was && !is && others == 0 {
		return chat.Errorf(chat.CodeConflict, "this is the last administrator: make another one first")
	}
	return nil
}
