package main

import (
	"archive/tar"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
)

// write builds a service's image and stores it at path, as an OCI image layout with all platforms. It adds the
// manifest.json of `docker save`, in which older engines find the first platform.
func (b *build) write(service, path string) (v1.Hash, error) {
	index, images, err := b.index(service)
	if err != nil {
		return v1.Hash{}, err
	}
	folder, err := os.MkdirTemp("", "parley-image-")
	if err != nil {
		return v1.Hash{}, err
	}
	defer func() { _ = os.RemoveAll(folder) }()
	at, err := layout.Write(folder, empty.Index)
	if err != nil {
		return v1.Hash{}, err
	}
	err = at.AppendIndex(index, layout.WithAnnotations(map[string]string{
		"io.containerd.image.name":          b.name(service),
		"org.opencontainers.image.ref.name": b.version,
	}))
	if err != nil {
		return v1.Hash{}, err
	}
	if err = b.manifest(service, images[0], filepath.Join(folder, "manifest.json")); err != nil {
		return v1.Hash{}, err
	}
	if err = b.pack(folder, path); err != nil {
		return v1.Hash{}, err
	}
	return index.Digest()
}

// manifest writes a manifest.json like that of `docker save`.
func (b *build) manifest(service string, image v1.Image, path string) error {
	blob := func(h v1.Hash) string { return "blobs/" + h.Algorithm + "/" + h.Hex }
	config, err := image.ConfigName()
	if err != nil {
		return err
	}
	layers, err := image.Layers()
	if err != nil {
		return err
	}
	entry := struct {
		Config           string
		RepoTags, Layers []string
	}{Config: blob(config), RepoTags: []string{b.name(service)}}
	for _, layer := range layers {
		var digest v1.Hash
		if digest, err = layer.Digest(); err != nil {
			return err
		}
		entry.Layers = append(entry.Layers, blob(digest))
	}
	content, err := json.Marshal([]any{entry})
	if err != nil {
		return err
	}
	return os.WriteFile(path, content, 0o600)
}

// pack writes a reproducible tar of a folder.
func (b *build) pack(folder, path string) (err error) {
	file, err := os.Create(path + ".part") //nolint:gosec // the caller names it
	if err != nil {
		return err
	}
	w := tar.NewWriter(file)
	err = filepath.WalkDir(folder, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		return b.add(w, name, strings.TrimPrefix(name, folder+"/"))
	})
	if err = errors.Join(err, w.Close(), file.Close()); err != nil {
		return err
	}
	return os.Rename(path+".part", path)
}

func (b *build) add(w *tar.Writer, path, name string) error {
	file, err := os.Open(path) //nolint:gosec // this program has written it
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if err = w.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o444, Size: info.Size(), ModTime: b.date}); err != nil {
		return err
	}
	_, err = io.Copy(w, file)
	return err
}
