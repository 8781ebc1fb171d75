//go:build long

package faults_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/parley-chat/parley/test/chaos/faults"
	"github.com/parley-chat/parley/test/servertest"
)

// The checker is pointed at a Parley that it did not start, with that Parley's limits as they are.
func TestTheCheckerChecksAnyParley(t *testing.T) {
	t.Parallel()
	s := servertest.Serve(t, t.TempDir())
	var out bytes.Buffer
	o := faults.Options{
		Seed: 1, Messages: 100, Faults: 2, Clients: 12, Rooms: 3, Rate: 40, Patience: 30 * time.Second, Out: &out, Log: slog.New(slog.DiscardHandler),
	}
	report, err := faults.RunExternal(t.Context(), o, faults.External{URL: s.URL, AdminName: servertest.AdminName, Password: servertest.AdminPassword})
	if err != nil {
		t.Fatal(err, out.String())
	}
	report.Write(&out)
	if !report.Holds() || report.Progress.Acked < 100 || report.Faults < 2 || report.Entries < 100 || report.Seen == 0 {
		t.Error(out.String())
	}
	if page, err := s.API.Rooms(t.Context(), "", "talk-", "", 0); err != nil || len(page.Rooms) > 0 {
		t.Error("its rooms stay:", page, err)
	}
	if _, err := faults.RunExternal(t.Context(), o, faults.External{URL: s.URL, AdminName: servertest.AdminName, Password: "no"}); err == nil || !strings.Contains(err.Error(), "no rooms can be made") {
		t.Error(err)
	}
}
