package datadir

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestOneProcessHoldsTheFolder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "data")
	first, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err = Open(path); err == nil || !strings.Contains(err.Error(), "another Parley is running") || !strings.Contains(err.Error(), path) {
		t.Errorf("second: %v", err)
	}
	if err = first.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := Open(path)
	if err != nil {
		t.Fatal("after it was closed:", err)
	}
	if err := again.Close(); err != nil {
		t.Error(err)
	}
}

// A folder that was there before us may have been open to all.
func TestNobodyElseEntersTheFolder(t *testing.T) {
	path := t.TempDir()
	if err := os.Chmod(path, 0o755); err != nil {
		t.Fatal(err)
	}
	dir, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = dir.Close() })
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o700 {
		t.Error(info.Mode(), err)
	}
}

func TestSecretsAreMadeOnceAndKept(t *testing.T) {
	dir, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = dir.Close() })
	secret, err := dir.Secret("s", Credential)
	if err != nil || len(secret) < 32 {
		t.Fatal(secret, err)
	}
	if again, err := dir.Secret("s", Credential); err != nil || again != secret {
		t.Error(again, err)
	}
	if other, err := dir.Secret("t", Credential); err != nil || other == secret {
		t.Error(other, err)
	}
	if info, err := os.Stat(dir.Path("s")); err != nil || info.Mode().Perm() != 0o600 {
		t.Error(info, err)
	}
}
