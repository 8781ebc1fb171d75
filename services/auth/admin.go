package auth

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/webapi"
	"github.com/parley-chat/parley/services/auth/internal/account"
	"github.com/parley-chat/parley/services/auth/internal/keys"
)

// makeAdmin makes the configured administrator, if there is none.
func (s *Service) makeAdmin(ctx context.Context, log *slog.Logger) error {
	made, err := s.accounts.CreateFirst(ctx, s.store, chat.DefaultTenant, s.config.Admin.Username, s.config.Admin.Password)
	if chat.CodeOf(err) == chat.CodeConflict {
		return fmt.Errorf("there is no administrator, and PARLEY_ADMIN_USER names an account that is not staff: choose another name, or make one by `auth createsuperuser`: %w", err)
	}
	if err != nil {
		return fmt.Errorf("PARLEY_ADMIN_USER: %w", err)
	}
	if made {
		log.InfoContext(ctx, "first administrator made", slog.String("username", s.config.Admin.Username))
	}
	return nil
}

// EnsureAdmin makes an administrator with a random password where there is none, and returns name
// and password for the caller to show once; nil if there is one. It is for servers that somebody is
// trying out; a cluster configures its administrator, or runs `auth createsuperuser`.
func (s *Service) EnsureAdmin(ctx context.Context) (*Credentials, error) {
	c := Credentials{Username: "admin", Password: rand.Text()}
	made, err := s.accounts.CreateFirst(ctx, s.store, chat.DefaultTenant, c.Username, c.Password)
	if chat.CodeOf(err) == chat.CodeConflict { // somebody took the name
		c.Username = "admin-" + rand.Text()[:8]
		made, err = s.accounts.CreateFirst(ctx, s.store, chat.DefaultTenant, c.Username, c.Password)
	}
	if err != nil || !made {
		return nil, err
	}
	return &c, nil
}

// CreateSuperuser makes a staff account, beside a service that may be running: chat.CodeConflict if
// the name is taken, chat.CodeBadRequest for a name or password that may not be.
func CreateSuperuser(ctx context.Context, c StoreConfig, login Credentials) error {
	store, db, err := openStore(ctx, c.Database, nil, toPeople())
	if err != nil {
		return err
	}
	defer db.Close()
	reg := prometheus.NewRegistry() // nobody looks at it
	hasher, err := account.NewHasher(c.Hashing, reg)
	if err != nil {
		return err
	}
	accounts := account.New(account.Options{Store: store, Hasher: hasher, Now: time.Now, NewID: webapi.NewID, Registry: reg})
	_, err = accounts.Create(ctx, chat.DefaultTenant, login.Username, login.Password, true)
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
