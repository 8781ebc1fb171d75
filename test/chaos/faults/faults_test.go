//go:build long

package faults

import (
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/parley-chat/parley/test/harness"
	"github.com/parley-chat/parley/test/servertest"
)

// told is where lines go that tell how it goes.
type told struct{ t *testing.T }

func (w told) Write(line []byte) (int, error) {
	w.t.Log(strings.TrimSuffix(string(line), "\n"))
	return len(line), nil
}

// Guarantees 1 to 4 and 6, while everything that can fail does, each in its own way, shortly. make faults
// is the same for long.
func TestNothingIsLostWhateverHappens(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	if given := os.Getenv("PARLEY_TEST_SEED"); given != "" {
		var err error
		if seed, err = strconv.ParseUint(given, 10, 64); err != nil {
			t.Fatal("PARLEY_TEST_SEED:", err)
		}
	}
	t.Logf("PARLEY_TEST_SEED=%d repeats these faults", seed)
	kinds := len((&driver{}).kinds())
	report, err := Run(t.Context(), Options{
		Seed: seed, Messages: 500, Faults: kinds, Scale: 0.05, Clients: 48, Rooms: 6, Rate: 80, Patience: 60 * time.Second,
		Bin: servertest.BuiltPrograms(t), Folder: t.TempDir(), Out: told{t}, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	report.Write(told{t})
	for _, v := range report.First {
		t.Error(v)
	}
	if report.Faults != kinds || len(report.Gaps) != kinds+1 || report.Progress.Replays == 0 || report.Progress.Changed == 0 || report.Unknown == 0 || report.Seen == 0 {
		t.Errorf("too little happened for this to mean anything: %+v", report)
	}
	path := filepath.Join(t.TempDir(), "report.json")
	if err := harness.Save(path, report); err != nil {
		t.Error(err)
	}
	if content, err := os.ReadFile(path); err != nil || !strings.Contains(string(content), `"kind": "PostgreSQL restored from a backup"`) {
		t.Error(err, string(content))
	}
}
