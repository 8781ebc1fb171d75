// Package backup stores backups in an S3 bucket or in a folder. A backup is a set of files in a folder that is named
// by its time. SHA256SUMS is written last, so a set without it is incomplete and is ignored. Downloads are checked
// against it.
package backup

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Storage stores the files of backups. Names have the form 20261122T030405Z/auth.dump.
type Storage interface {
	// Put stores size bytes of content. It returns once they are durable, not when they are only accepted.
	Put(ctx context.Context, name string, content io.ReadSeeker, size int64) error
	// Open reads a file.
	Open(ctx context.Context, name string) (io.ReadCloser, error)
	// Files lists all files of all backups.
	Files(ctx context.Context) ([]File, error)
	// Remove deletes a file. It is not an error if the file does not exist.
	Remove(ctx context.Context, name string) error
}

// File is one file of a backup.
type File struct {
	Name string
	Size int64
}

// Set is one backup.
type Set struct {
	Name     string // its time
	Files    []File // without SHA256SUMS
	Complete bool
}

// Size returns the size of all files together.
func (s Set) Size() (sum int64) {
	for _, f := range s.Files {
		sum += f.Size
	}
	return sum
}

const (
	timeForm = "20060102T150405Z"
	sumsFile = "SHA256SUMS"
)

// Upload stores files as a new backup. If keep is above 0, it then removes the backups that are older than the newest
// keep complete ones.
func Upload(ctx context.Context, storage Storage, files []string, now time.Time, keep int) (made Set, removed []string, err error) {
	made = Set{Name: now.UTC().Format(timeForm), Complete: true}
	before, err := Sets(ctx, storage)
	if err != nil {
		return made, nil, err
	}
	if slices.ContainsFunc(before, func(s Set) bool { return s.Name == made.Name }) {
		return made, nil, fmt.Errorf("the backup %s already exists: another upload is running at the same time", made.Name)
	}
	var sums bytes.Buffer
	for _, file := range files {
		name := filepath.Base(file)
		if name == sumsFile || slices.ContainsFunc(made.Files, func(f File) bool { return f.Name == name }) {
			return made, nil, fmt.Errorf("two files of a backup can't have the name %s", name)
		}
		var (
			sum  string
			size int64
		)
		if sum, size, err = store(ctx, storage, made.Name+"/"+name, file); err != nil {
			return made, nil, err
		}
		fmt.Fprintf(&sums, "%s  %s\n", sum, name)
		made.Files = append(made.Files, File{Name: name, Size: size})
	}
	if err = storage.Put(ctx, made.Name+"/"+sumsFile, bytes.NewReader(sums.Bytes()), int64(sums.Len())); err != nil {
		return made, nil, err
	}
	if keep > 0 {
		removed, err = prune(ctx, storage, append(before, made), keep)
	}
	return made, removed, err
}

// store stores one file and returns its checksum. The checksum is computed from the file, not from the stored copy.
func store(ctx context.Context, storage Storage, name, path string) (sum string, size int64, err error) {
	file, err := os.Open(path) //nolint:gosec // the operator names it
	if err != nil {
		return "", 0, err
	}
	defer func() { _ = file.Close() }()
	hash := sha256.New()
	if size, err = io.Copy(hash, file); err != nil {
		return "", 0, fmt.Errorf("read %s: %w", path, err)
	}
	if size == 0 {
		return "", 0, fmt.Errorf("%s is empty; see why the dump before this step failed", path)
	}
	if _, err = file.Seek(0, io.SeekStart); err != nil {
		return "", 0, fmt.Errorf("read %s: %w", path, err)
	}
	return hex.EncodeToString(hash.Sum(nil)), size, storage.Put(ctx, name, file, size)
}

// Sets lists the backups, the oldest first.
func Sets(ctx context.Context, storage Storage) ([]Set, error) {
	files, err := storage.Files(ctx)
	if err != nil {
		return nil, err
	}
	var sets []Set
	for _, f := range files {
		folder, name := path.Split(f.Name)
		folder = strings.TrimSuffix(folder, "/")
		if _, err := time.Parse(timeForm, folder); err != nil {
			continue // not a backup
		}
		at := slices.IndexFunc(sets, func(s Set) bool { return s.Name == folder })
		if at < 0 {
			at = len(sets)
			sets = append(sets, Set{Name: folder})
		}
		if name == sumsFile {
			sets[at].Complete = true
		} else {
			sets[at].Files = append(sets[at].Files, File{Name: name, Size: f.Size})
		}
	}
	slices.SortFunc(sets, func(a, b Set) int { return strings.Compare(a.Name, b.Name) })
	return sets, nil
}

// prune removes the sets that are older than the newest keep complete ones. It removes SHA256SUMS first, so that a set
// that is removed only in part is incomplete.
func prune(ctx context.Context, storage Storage, sets []Set, keep int) (removed []string, err error) {
	for i, set := range slices.Backward(sets) {
		if set.Complete {
			keep--
		}
		if keep > 0 {
			continue
		}
		for _, old := range sets[:i] {
			for _, name := range append([]string{sumsFile}, names(old.Files)...) {
				if err := storage.Remove(ctx, old.Name+"/"+name); err != nil {
					return removed, fmt.Errorf("the backup is stored, but the old backup %s could not be removed: %w", old.Name, err)
				}
			}
			removed = append(removed, old.Name)
		}
		return removed, nil
	}
	return nil, nil
}

func names(files []File) []string {
	names := make([]string, 0, len(files))
	for _, f := range files {
		names = append(names, f.Name)
	}
	return names
}

// Download downloads a backup into a folder; an empty name means the newest complete backup. A file gets its name only
// after its checksum was verified.
func Download(ctx context.Context, storage Storage, name, into string) (Set, error) {
	sets, err := Sets(ctx, storage)
	if err != nil {
		return Set{}, err
	}
	set, err := choose(sets, name)
	if err != nil {
		return Set{}, err
	}
	content, err := read(ctx, storage, set.Name+"/"+sumsFile)
	if err != nil {
		return set, err
	}
	sums, err := parseSums(content)
	if err != nil {
		return set, fmt.Errorf("%s/%s: %w", set.Name, sumsFile, err)
	}
	for _, s := range sums {
		if err := fetch(ctx, storage, set.Name+"/"+s.name, s.sum, filepath.Join(into, s.name)); err != nil {
			return set, err
		}
	}
	return set, nil
}

func choose(sets []Set, name string) (Set, error) {
	for _, set := range slices.Backward(sets) {
		switch {
		case name == "" && set.Complete:
			return set, nil
		case name != "" && set.Name == name && !set.Complete:
			return Set{}, fmt.Errorf("the backup %s is incomplete, because its upload was interrupted; choose another one (--list)", name)
		case set.Name == name:
			return set, nil
		}
	}
	if name == "" {
		return Set{}, errors.New("there is no complete backup")
	}
	return Set{}, fmt.Errorf("there is no backup %s; --list shows all backups", name)
}

// fetch downloads to a temporary file beside path, verifies it, and renames it to path.
func fetch(ctx context.Context, storage Storage, name, want, path string) (err error) {
	from, err := storage.Open(ctx, name)
	if err != nil {
		return err
	}
	defer func() { _ = from.Close() }()
	part := path + ".part"
	to, err := os.OpenFile(part, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600) //nolint:gosec // the operator names the folder
	if err != nil {
		return err
	}
	hash := sha256.New()
	_, err = io.Copy(io.MultiWriter(to, hash), from)
	if err = errors.Join(err, to.Close()); err != nil {
		return fmt.Errorf("fetch %s: %w", name, err)
	}
	if got := hex.EncodeToString(hash.Sum(nil)); got != want {
		return fmt.Errorf("%s is damaged: its checksum is wrong; choose an older backup (--list)", name)
	}
	return os.Rename(part, path)
}
