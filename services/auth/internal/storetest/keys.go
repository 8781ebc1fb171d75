package storetest

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/parley-chat/parley/services/auth/internal/keys"
)

func aKey(id string) keys.Key {
	seed := make([]byte, ed25519.SeedSize)
	copy(seed, id)
	return keys.Key{ID: id, Private: ed25519.NewKeyFromSeed(seed), Created: Start}
}

func keysAreKept(s suite) {
	t := s.t
	a, b := aKey("a"), aKey("b")
	a.Activated, a.Retires = Start.Add(time.Hour), Start.Add(2*time.Hour)
	put := func(list ...keys.Key) {
		t.Helper()
		got, err := s.ChangeSigningKeys(t.Context(), func([]keys.Key) ([]keys.Key, error) { return list, nil })
		if err != nil || len(got) != len(list) {
			t.Fatal(got, err)
		}
	}
	want := func(list ...keys.Key) {
		t.Helper()
		got := must[[]keys.Key](t)(s.SigningKeys(t.Context()))
		slices.SortFunc(got, func(a, b keys.Key) int { return strings.Compare(a.ID, b.ID) })
		if len(got) != len(list) || len(list) > 0 && !reflect.DeepEqual(got, list) {
			t.Errorf("got %+v, want %+v", got, list)
		}
	}
	want()
	put(a, b)
	want(a, b)
	no := errors.New("no")
	if _, err := s.ChangeSigningKeys(t.Context(), func([]keys.Key) ([]keys.Key, error) { return nil, no }); !errors.Is(err, no) {
		t.Error(err)
	}
	want(a, b)
	put(b)
	want(b)
}

func keyChangesDontGetLost(s suite) {
	t := s.t
	var wg sync.WaitGroup
	for i := range 10 {
		wg.Go(func() {
			if _, err := s.ChangeSigningKeys(t.Context(), func(list []keys.Key) ([]keys.Key, error) {
				return append(list, aKey(fmt.Sprint("key", i))), nil
			}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if list := must[[]keys.Key](t)(s.SigningKeys(t.Context())); len(list) != 10 {
		t.Errorf("%d of 10 keys are there", len(list))
	}
}
