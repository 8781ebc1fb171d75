package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/parley-chat/parley/pkg/audit"
	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/services/auth/internal/session"
)

// Bench measures the store's part of what auth is asked most.
func Bench(b *testing.B, s Store) {
	b.Helper()
	a := anAccount("Ada")
	if err := s.CreateAccount(b.Context(), a); err != nil {
		b.Fatal(err)
	}
	sessions := 0
	start := func(b *testing.B) chat.SessionID {
		b.Helper()
		sessions++
		sess := aSession(fmt.Sprint("S", sessions), a.User(), 1)
		entry := audit.Origin{Actor: a.ID}.Entry(tenant, Start, audit.SignedIn, string(sess.ID), nil)
		if err := s.CreateSession(b.Context(), sess, session.Refresh{Hash: []byte(sess.ID), Issued: Start}, entry); err != nil {
			b.Fatal(err)
		}
		return sess.ID
	}
	b.Run("login", func(b *testing.B) {
		for b.Loop() {
			if _, err := s.AccountByName(b.Context(), tenant, a.Forms); err != nil {
				b.Fatal(err)
			}
			start(b)
		}
	})
	b.Run("verify", func(b *testing.B) {
		id := start(b)
		for b.Loop() {
			if _, err := s.SessionByID(b.Context(), tenant, id); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("refresh", func(b *testing.B) {
		id := start(b)
		hash, n := []byte(id), 0
		for b.Loop() {
			n++
			next := fmt.Append(nil, id, "-", n)
			err := s.RotateSession(b.Context(), tenant, id, hash, func(_ session.Session, old *session.Refresh) (session.Rotation, error) {
				return session.Rotation{Next: session.Refresh{Hash: next, Parent: old.Hash, Issued: Start}, First: true, Keep: 256}, nil
			})
			if err != nil {
				b.Fatal(err)
			}
			hash = next
		}
	})
	b.Run("poll of the lobby", func(b *testing.B) {
		for b.Loop() {
			if _, err := s.LobbyPage(b.Context(), 0, time.Time{}, 10); err != nil {
				b.Fatal(err)
			}
		}
	})
}
