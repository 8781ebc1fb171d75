package audit_test

import (
	"bytes"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parley-chat/parley/pkg/audit"
	"github.com/parley-chat/parley/pkg/chat"
)

func TestTheLogLineTellsTheEntry(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	e := audit.Origin{Actor: "ADA", Address: "192.0.2.1", Request: "R"}.Entry(chat.DefaultTenant, time.Now(), audit.StaffGranted, "BOB", map[string]any{"z": 1, "a": true})
	e.Room = "hall"
	audit.Log(t.Context(), slog.New(slog.NewTextHandler(&b, nil)), e)
	const want = `msg="audit entry written" action=staff_granted actor=ADA target=BOB room=hall address=192.0.2.1 a=true z=1`
	if !strings.Contains(b.String(), want) {
		t.Error(b.String())
	}
}

func TestActionsAreDistinct(t *testing.T) {
	t.Parallel()
	actions := audit.Actions()
	slices.Sort(actions)
	if n := len(actions); actions[0] == "" || len(slices.Compact(actions)) != n {
		t.Error(actions)
	}
}
