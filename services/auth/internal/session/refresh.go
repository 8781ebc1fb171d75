package session

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/parley-chat/parley/pkg/audit"
	"github.com/parley-chat/parley/pkg/chat"
)

// A refresh token is "<session>.<130 random bits>.<tag>". The store keeps only its hash, and only as
// long as it may be used. The tag is an HMAC under the session's family secret: by it a token of
// which nothing is kept any more is still recognised as a real, old one (so it has leaked, and the
// family ends), while whoever merely knows a session's id can't end it with a made-up token. The
// secret opens nothing: a token with a right tag and an unknown hash is refused all the same.

const (
	// reuseWindow is how long the latest old token answers further tokens: two tabs, a lost answer.
	reuseWindow = 30 * time.Second
	// maxTokens bounds the tokens kept of a session, and so how far it may fork.
	maxTokens = 256
	// maxRefreshBytes bounds what is looked at. A real one has about 80.
	maxRefreshBytes = 256
)

func newFamily() []byte {
	family := make([]byte, 32)
	_, _ = rand.Read(family) // never fails
	return family
}

func (s *Sessions) newRefresh(sess Session) string {
	body := string(sess.ID) + "." + rand.Text()
	return body + "." + tag(sess.Family, body)
}

func tag(family []byte, body string) string {
	mac := hmac.New(sha256.New, family)
	mac.Write([]byte(body))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:16])
}

func hashOf(raw string) []byte {
	sum := sha256.Sum256([]byte(raw))
	return sum[:]
}

// sessionOf returns the session that a refresh token names, "" for what is none.
func sessionOf(raw string) chat.SessionID {
	if len(raw) > maxRefreshBytes || strings.Count(raw, ".") != 2 {
		return ""
	}
	id, _, _ := strings.Cut(raw, ".")
	for _, c := range []byte(id) {
		if (c < 'A' || c > 'Z') && (c < '0' || c > '9') {
			return ""
		}
	}
	return chat.SessionID(id)
}

// genuine says whether the session gave raw out at some time.
func genuine(sess Session, raw string) bool {
	body := raw[:strings.LastIndexByte(raw, '.')]
	return hmac.Equal([]byte(body+"."+tag(sess.Family, body)), []byte(raw))
}

// errReused is for an old token that came again: somebody else has it too.
var errReused = errors.New("reuse of an old refresh token")

// Refresh rotates a refresh token. The latest old one, used again within 30 s, answers a further
// token of the same family; anything older ends the session. Of the tokens that one was thus answered
// with only one may go on: the first to be used, and within 30 s of that the others, in whose place it
// has what they are answered with be given. So two tabs that share their tokens may race, while a thief
// and the owner, who each go on with a token of their own, end the session sooner or later.
// Whatever is not right is the same chat.CodeUnauthenticated.
func (s *Sessions) Refresh(ctx context.Context, tenant chat.TenantID, raw string, from audit.Origin) (Grant, error) {
	id := sessionOf(raw)
	if id == "" {
		return Grant{}, s.refused("refused")
	}
	now := s.now()
	var sess Session
	var next, result string
	err := s.store.RotateSession(ctx, tenant, id, hashOf(raw), func(found Session, old *Refresh) (Rotation, error) {
		sess = found
		switch {
		case !genuine(sess, raw), s.over(sess, now):
			return Rotation{}, errEnded()
		case old == nil, !old.current(now):
			return Rotation{}, errReused
		}
		result = "ok"
		if !old.Used.IsZero() {
			result = "again"
		}
		next = s.newRefresh(sess)
		return Rotation{
			Next:  Refresh{Hash: hashOf(next), Parent: old.branch(), Issued: now},
			First: old.Used.IsZero(), Keep: maxTokens,
		}, nil
	})
	switch {
	case err == nil:
		s.refreshes.WithLabelValues(result).Inc()
		return s.grant(sess, next, now)
	case errors.Is(err, errReused):
		if err = s.end(ctx, tenant, id, from, "token_reused"); err != nil {
			return Grant{}, err
		}
		return Grant{}, s.refused("reused")
	case chat.CodeOf(err) == chat.CodeNotFound, chat.CodeOf(err) == chat.CodeUnauthenticated:
		return Grant{}, s.refused("refused")
	default:
		return Grant{}, fmt.Errorf("refreshing a session: %w", err)
	}
}

// current says whether a token may be used now: it was used a moment ago, or never, and then no token
// given beside it was used longer ago than that.
func (r Refresh) current(now time.Time) bool {
	used := r.Used
	if used.IsZero() {
		used = r.SiblingUsed
	}
	return used.IsZero() || now.Sub(used) <= reuseWindow
}

// branch is the token that the next ones are given for: of all that were given beside r the first to be
// used, which is r itself if none was before.
func (r Refresh) branch() []byte {
	if r.SiblingUsed.IsZero() || !r.Used.IsZero() && !r.SiblingUsed.Before(r.Used) {
		return r.Hash
	}
	return r.Sibling
}

// EndByRefresh ends the session of a genuine refresh token, for who signs out after the access token
// has expired. Whatever else it is given ends nothing: chat.CodeUnauthenticated.
func (s *Sessions) EndByRefresh(ctx context.Context, tenant chat.TenantID, raw string, from audit.Origin) error {
	id := sessionOf(raw)
	if id == "" {
		return errEnded()
	}
	sess, err := s.store.SessionByID(ctx, tenant, id)
	if chat.CodeOf(err) == chat.CodeNotFound || err == nil && !genuine(sess, raw) {
		return errEnded()
	}
	if err != nil {
		return fmt.Errorf("looking a session up: %w", err)
	}
	return s.End(ctx, tenant, id, from)
}

func (s *Sessions) refused(result string) error {
	s.refreshes.WithLabelValues(result).Inc()
	return errEnded()
}
