package auth

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/parley-chat/parley/pkg/audit"
	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/webapi"
	"github.com/parley-chat/parley/services/auth/internal/account"
	"github.com/parley-chat/parley/services/auth/internal/keys"
)

// GeneratedAdmin is a first administrator for servers that somebody is trying out, whose password is random and to be
// shown once. A cluster configures its administrator, or runs `auth createsuperuser`.
func GeneratedAdmin() Credentials { return Credentials{Username: "admin", Password: rand.Text()} }

// EnsureAdmin makes the GeneratedAdmin where there is no administrator, under another name if that is taken, and returns
// it; nil if there is one.
func (s *Service) EnsureAdmin(ctx context.Context) (*Credentials, error) {
	admin := GeneratedAdmin()
	created, err := s.createFirstAdmin(ctx, admin)
	if chat.CodeOf(err) == chat.CodeConflict {
		admin.Username += "-" + rand.Text()[:8]
		created, err = s.createFirstAdmin(ctx, admin)
	}
	if err != nil || !created {
		return nil, err
	}
	return &admin, nil
}

// configuredAdmin makes the administrator of the configuration, if there is none.
func (s *Service) configuredAdmin(ctx context.Context) error {
	_, err := s.createFirstAdmin(ctx, s.config.Admin)
	if chat.CodeOf(err) == chat.CodeConflict {
		return fmt.Errorf("there is no administrator, and PARLEY_ADMIN_USER names an account that is not staff: choose another name, or make one by `auth createsuperuser`: %w", err)
	}
	if err != nil {
		return fmt.Errorf("PARLEY_ADMIN_USER: %w", err)
	}
	return nil
}

// createFirstAdmin is how every first administrator is made.
func (s *Service) createFirstAdmin(ctx context.Context, admin Credentials) (bool, error) {
	created, err := s.accounts.CreateFirst(ctx, s.store, chat.DefaultTenant, admin.Username, admin.Password)
	if created {
		s.log.InfoContext(ctx, "first administrator created", slog.String("username", admin.Username))
	}
	return created, err
}

// CreateSuperuser makes a staff account, beside a service that may be running: chat.CodeConflict if
// the name is taken, chat.CodeBadRequest for a name or password that may not be.
func CreateSuperuser(ctx context.Context, c StoreConfig, login Credentials) error {
	store, db, err := openStore(ctx, c.Database, nil, commandLog())
	if err != nil {
		return err
	}
	defer db.Close()
	reg := prometheus.NewRegistry() // nobody looks at it
	hasher, err := account.NewHasher(c.Hashing, reg)
	if err != nil {
		return err
	}
	accounts := account.New(account.Options{Store: store, Hasher: hasher, Now: time.Now, NewID: webapi.NewID, Log: slog.New(slog.DiscardHandler), Registry: reg})
	_, err = accounts.Create(ctx, chat.DefaultTenant, login.Username, login.Password, true, audit.Origin{})
	return err
}

// RotateKeys has the next signing key take over, beside a service that may be running, and returns
// when that is: within seconds, or once every service knows the key.
func RotateKeys(ctx context.Context, c StoreConfig, every time.Duration, log *slog.Logger) (time.Time, error) {
	store, db, err := openStore(ctx, c.Database, nil, log)
	if err != nil {
		return time.Time{}, err
	}
	defer db.Close()
	return keys.NewRing(store, "", every, log, time.Now).Rotate(ctx)
}
