package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// Folder is a Storage on a mounted volume.
type Folder string

// Put implements Storage. It syncs the file and its folder.
func (f Folder) Put(_ context.Context, name string, content io.ReadSeeker, size int64) (err error) {
	path := filepath.Join(string(f), filepath.FromSlash(name))
	if err = os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600) //nolint:gosec // the operator names the folder
	if err != nil {
		return err
	}
	written, err := io.Copy(file, content)
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if written != size {
		return fmt.Errorf("%s changed while it was copied", path)
	}
	return errors.Join(syncFolder(filepath.Dir(path)), syncFolder(string(f)))
}

func syncFolder(path string) error {
	folder, err := os.Open(path) //nolint:gosec // the operator names the folder
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}

// Open implements Storage.
func (f Folder) Open(_ context.Context, name string) (io.ReadCloser, error) {
	return os.Open(filepath.Join(string(f), filepath.FromSlash(name)))
}

// Files implements Storage.
func (f Folder) Files(context.Context) ([]File, error) {
	paths, err := filepath.Glob(filepath.Join(string(f), "*", "*"))
	if err != nil {
		return nil, err
	}
	if _, err = os.Stat(string(f)); err != nil {
		return nil, fmt.Errorf("the folder for backups: %w", err)
	}
	files := make([]File, 0, len(paths))
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			return nil, err
		}
		name, err := filepath.Rel(string(f), path)
		if err != nil {
			return nil, err
		}
		files = append(files, File{Name: filepath.ToSlash(name), Size: info.Size()})
	}
	return files, nil
}

// Remove implements Storage. It also removes a folder that is then empty.
func (f Folder) Remove(_ context.Context, name string) error {
	path := filepath.Join(string(f), filepath.FromSlash(name))
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	_ = os.Remove(filepath.Dir(path)) // fails while the folder has other files
	return nil
}
