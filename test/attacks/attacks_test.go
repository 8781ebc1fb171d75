//go:build linux && long

package attacks

import (
	"bytes"
	"log/slog"
	"os"
	"testing"
	"time"
)

// A stranger can't end it. make attacks is the same for long, and also says how much slower people get,
// which no test may fail for.
func TestStrangersCannotEndIt(t *testing.T) {
	bin := os.Getenv("PARLEY_TEST_BIN")
	if bin == "" {
		t.Fatal("PARLEY_TEST_BIN is the folder of the services' programs: make test-long sets it")
	}
	var out bytes.Buffer
	report, err := Run(t.Context(), Options{
		People: 40, Before: 3 * time.Second, Lasts: 20 * time.Second, Bin: bin, Folder: t.TempDir(), Out: &out, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err, out.String())
	}
	report.Write(&out)
	t.Log(out.String())
	for _, v := range report.Verdicts {
		if !v.Holds && !v.Timed {
			t.Error(v.What, v.Text)
		}
	}
	for _, a := range (&target{}).attacks() {
		if len(report.Attacks[a.name]) == 0 {
			t.Error("nothing was answered to:", a.name)
		}
	}
}
