package roomsclient

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/parley-chat/parley/pkg/chat"
)

// saying answers every call with the same content.
type saying struct{ content []byte }

func (s saying) Post(_ context.Context, path string, _, answer any) error {
	if err := json.Unmarshal(s.content, answer); err != nil {
		return fmt.Errorf("read the answer of %s: %w", path, err)
	}
	return nil
}

func (s saying) PostOnce(ctx context.Context, _ int, path string, request, answer any) error {
	return s.Post(ctx, path, request, answer)
}

// Whatever the rooms service answers, a message is acked only with its number, and what may have been
// stored is never told as not stored; a room is opened only if there is one.
func FuzzAnswers(f *testing.F) {
	f.Fuzz(func(t *testing.T, content []byte) {
		synctest.Test(t, func(t *testing.T) {
			c := New(saying{content}, prometheus.NewRegistry(), nil)
			seq, err := appendTo(c, "n")
			if err == nil && (seq < 1 || seq > chat.MaxSeq) {
				t.Errorf("%q: acked as message %d", content, seq)
			}
			if err != nil && chat.CodeOf(err) == "" {
				t.Errorf("%q: an error without a code", content)
			}
			if !json.Valid(content) && !chat.OutcomeUnknown(err) {
				t.Errorf("%q: told as not stored: %v", content, err)
			}
			access, err := c.Access(t.Context(), "token", "a")
			if err == nil && (access.Room == nil || access.ID < 1 || access.Room.Slug != "a" || access.Room.Log == "") {
				t.Errorf("%q opens %+v", content, access)
			}
			_, _ = c.Tail(t.Context(), 1, 1, 1)
			_, _ = c.History(t.Context(), 1, 1, 1)
			_, _ = c.Heads(t.Context())
			c.Wait()
		})
	})
}
