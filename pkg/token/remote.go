package token

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// Remote is what a service other than auth checks tokens with.
type Remote struct {
	*Verifier

	Keys        *KeySet      // to be run
	Revocations *Revocations // to be fed from auth's lobby, MaxLifetime back
}

// NewRemote makes a Remote that asks the auth pods at these base URLs for their keys, by TCP or as dial says.
func NewRemote(issuer string, urls []string, dial func(ctx context.Context, network, address string) (net.Conn, error), log *slog.Logger, now func() time.Time) (*Remote, error) {
	transport := &http.Transport{DialContext: dial, MaxIdleConnsPerHost: 2, IdleConnTimeout: 2 * time.Minute}
	keys, err := NewKeySet(urls, &http.Client{Transport: transport}, log, now)
	if err != nil {
		return nil, err
	}
	revocations := NewRevocations(now)
	verifier, err := NewVerifier(issuer, keys, revocations, now)
	if err != nil {
		return nil, err
	}
	return &Remote{verifier, keys, revocations}, nil
}
