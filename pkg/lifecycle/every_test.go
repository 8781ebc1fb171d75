package lifecycle

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestEveryWorksAtOnceAndAgainAfterAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		began := time.Now()
		var at []time.Duration
		ctx, cancel := context.WithTimeout(t.Context(), 25*time.Minute)
		defer cancel()
		ready := false
		err := Every{Interval: 10 * time.Minute, Failed: "sweeping failed", Log: slog.New(slog.NewTextHandler(&log, nil)), Do: func(context.Context) error {
			if at = append(at, time.Since(began)); len(at) == 2 {
				return errors.New("away")
			}
			return nil
		}}.Run(ctx, func() { ready = true })
		if !errors.Is(err, context.DeadlineExceeded) || !ready || len(at) != 3 || at[0] != 0 || at[1] != 10*time.Minute || at[2] != 20*time.Minute {
			t.Error(err, ready, at)
		}
		if text := log.String(); strings.Count(text, "sweeping failed") != 1 || !strings.Contains(text, "away") {
			t.Error(text)
		}
	})
}
