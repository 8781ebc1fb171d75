package servertest

import (
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/parley-chat/parley/pkg/database"
)

// BuiltPrograms is the folder of the programs: make test has built them, else they are built.
func BuiltPrograms(t *testing.T) string {
	t.Helper()
	if folder := os.Getenv("PARLEY_TEST_BIN"); folder != "" {
		return folder
	}
	folder := t.TempDir()
	paths := []string{"test/cmd/parley-test"}
	for _, service := range []string{"auth", "rooms", "edge", "web", "steward", "standalone"} {
		paths = append(paths, "services/"+service+"/cmd/"+service)
	}
	for _, path := range paths {
		build := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(folder, filepath.Base(path)), "github.com/parley-chat/parley/"+path)
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("build %s: %v\n%s", path, err, out)
		}
	}
	return folder
}

// StewardCheck runs `steward check` as `helm test` does, and returns what it says.
func StewardCheck(t *testing.T, environment []string, flags ...string) (said string, err error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), filepath.Join(BuiltPrograms(t), "steward"), append([]string{"check"}, flags...)...)
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH")}, environment...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// Execute runs statements on one of the databases in a server's data folder.
func Execute(t *testing.T, data, file string, statements ...string) {
	t.Helper()
	db, err := database.Open(t.Context(), "sqlite:"+filepath.Join(data, file), nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, statement := range statements {
		if _, err := db.SQLite.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(statement, err)
		}
	}
}
