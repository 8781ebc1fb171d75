// Package datadir is the folder that a Parley on one machine keeps its data in: its own, held by one
// process at a time, with the secrets that were made up at the first start.
package datadir

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// Dir is a folder that this process holds until Close or its end.
type Dir struct {
	path string
	lock *os.File
}

// Open makes the folder where it is missing and takes hold of it. While another process holds it,
// that is an error in plain words.
func Open(path string) (*Dir, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("data folder: %w", err)
	}
	if err = os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("data folder: %w", err)
	}
	// Others must not reach what is inside, whatever they made of it before: signing keys, above all.
	if err = os.Chmod(path, 0o700); err != nil { //nolint:gosec // a folder is entered
		return nil, fmt.Errorf("data folder: it must be for its owner alone: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(path, "lock"), os.O_CREATE|os.O_RDWR, 0o600) //nolint:gosec // the operator names the folder
	if err != nil {
		return nil, fmt.Errorf("data folder: %w", err)
	}
	// The kernel lets go of the lock when the process ends, however it ends.
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = lock.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("another Parley is running on the data folder %s: stop it, or name another folder in PARLEY_DATA", path)
		}
		return nil, fmt.Errorf("data folder %s: lock: %w", path, err)
	}
	return &Dir{path: path, lock: lock}, nil
}

// Path names a file or folder inside.
func (d *Dir) Path(name ...string) string {
	return filepath.Join(append([]string{d.path}, name...)...)
}

// Secret returns what the file name holds. Where there is none, generate makes it up.
func (d *Dir) Secret(name string, generate func() string) (string, error) {
	path := d.Path(name)
	content, err := os.ReadFile(path) //nolint:gosec // a file of ours
	if err == nil && len(content) > 0 {
		return strings.TrimSpace(string(content)), nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("data folder: %w", err)
	}
	secret := generate()
	if err := os.WriteFile(path, []byte(secret+"\n"), 0o600); err != nil {
		return "", fmt.Errorf("data folder: %w", err)
	}
	return secret, nil
}

// Credential generates a secret that only programs read, of 260 random bits.
func Credential() string { return rand.Text() + rand.Text() }

// Close lets go of the folder.
func (d *Dir) Close() error { return d.lock.Close() }
