package token

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/metric"
)

// How a KeySet fetches. auth publishes a key well before it signs with it, so the periodic refresh
// alone is in time; the fetch on demand is for a key set that was replaced in a hurry.
const (
	refreshEvery  = time.Minute            // periodic refresh
	demandEvery   = time.Minute            // refetch for an unknown id: at most once in this time
	demandTimeout = 3 * time.Second        // how long Verify waits for such a refetch
	fetchTimeout  = 2 * time.Second        // one request
	firstRetry    = 100 * time.Millisecond // until there are any keys; doubled up to lastRetry
	lastRetry     = 5 * time.Second
	maxSetBytes   = 64 << 10
)

// KeySet holds auth's public keys, fetched over HTTP. It is a lifecycle component: ready when it
// first got keys. A fetch that fails leaves the keys as they are.
type KeySet struct {
	urls   []string
	client *http.Client
	log    *slog.Logger
	now    func() time.Time
	demand chan struct{} // asks Run for a fetch; holds one

	mu       sync.RWMutex
	keys     map[string]ed25519.PublicKey // replaced whole, never changed
	fetched  time.Time                    // when they were fetched
	demanded time.Time                    // the last time that an unknown id caused a fetch
	round    chan struct{}                // closed when the fetch asked for is over; nil if none is
}

// NewKeySet makes a key set that asks the auth pods at these base URLs, in turn until one answers.
func NewKeySet(urls []string, client *http.Client, log *slog.Logger, now func() time.Time) (*KeySet, error) {
	if len(urls) == 0 {
		return nil, errors.New("a key set needs the address of auth")
	}
	return &KeySet{urls: urls, client: client, log: log, now: now, demand: make(chan struct{}, 1)}, nil
}

// Register exposes, for a service, when the keys were last fetched.
func (s *KeySet) Register(reg prometheus.Registerer, service string) {
	metric.Timestamp(reg, "parley_"+service+"_jwks_fetched_timestamp_seconds", "When auth's public keys were last fetched; 0 is never.", nil, func() time.Time {
		s.mu.RLock()
		defer s.mu.RUnlock()
		return s.fetched
	})
}

// Key implements Keys. For an unknown id it waits for a refetch, which happens at most once a
// minute whatever is asked, so that made-up ids cause no storm.
func (s *KeySet) Key(ctx context.Context, id string) (ed25519.PublicKey, error) {
	s.mu.RLock()
	keys := s.keys
	s.mu.RUnlock()
	if key, ok := keys[id]; ok {
		return key, nil
	}
	if keys == nil {
		return nil, chat.Errorf(chat.CodeUnavailable, "the signing keys are not known yet: try again in a moment")
	}
	if round := s.ask(); round != nil {
		timeout := time.NewTimer(demandTimeout)
		defer timeout.Stop()
		select {
		case <-round:
		case <-timeout.C:
		case <-ctx.Done():
			return nil, fmt.Errorf("waiting for signing keys: %w", ctx.Err())
		}
		s.mu.RLock()
		key, ok := s.keys[id]
		s.mu.RUnlock()
		if ok {
			return key, nil
		}
	}
	return nil, refuse("the token's key is unknown")
}

// ask has Run fetch, or joins the fetch that was asked for, and returns what is closed afterwards;
// nil if none is due.
func (s *KeySet) ask() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.round != nil {
		return s.round
	}
	now := s.now()
	if !s.demanded.IsZero() && now.Sub(s.demanded) < demandEvery {
		return nil
	}
	s.demanded = now
	s.round = make(chan struct{})
	s.demand <- struct{}{} // never blocks: one round at a time
	return s.round
}

// Run keeps the keys fresh until ctx ends.
func (s *KeySet) Run(ctx context.Context, ready func()) error {
	retry, known, demanded := firstRetry, false, false
	for {
		err := s.fetch(ctx)
		if demanded {
			s.endRound()
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		wait := refreshEvery
		if err != nil {
			wait, retry = retry, min(2*retry, lastRetry)
			s.log.WarnContext(ctx, "fetching signing keys failed", "error", err)
		} else {
			retry = firstRetry
			if !known {
				known = true
				ready()
			}
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-s.demand:
			timer.Stop()
			demanded = true
		case <-timer.C:
			demanded = false
		}
	}
}

func (s *KeySet) endRound() {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.round)
	s.round = nil
}

// fetch asks one pod after the other and takes the first good answer.
func (s *KeySet) fetch(ctx context.Context) error {
	var errs []error
	for _, url := range s.urls {
		keys, err := s.request(ctx, strings.TrimSuffix(url, "/")+PathKeys)
		if err == nil {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.keys, s.fetched = keys, s.now()
			return nil
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func (s *KeySet) request(ctx context.Context, url string) (map[string]ed25519.PublicKey, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("asking for keys: %w", err)
	}
	res, err := s.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("asking for keys: %w", err)
	}
	defer res.Body.Close() //nolint:errcheck // what was read is judged, not how it closed
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("asking for keys: %s answered %d", url, res.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, maxSetBytes))
	if err != nil {
		return nil, fmt.Errorf("reading keys: %w", err)
	}
	list, err := DecodeKeys(body)
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("%s has no usable keys", url)
	}
	keys := make(map[string]ed25519.PublicKey, len(list))
	for _, k := range list {
		keys[k.ID] = k.Key
	}
	return keys, nil
}
