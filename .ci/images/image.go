package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"debug/elf"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// The Dockerfile has the same values. A test compares them.
const (
	user   = "10001:10001"
	source = "https://github.com/parley-chat/parley"
)

// build has the settings that all images of a run share.
type build struct {
	programs, out   string
	prefix          string
	version, commit string
	date            time.Time
	platforms       []target
}

type target struct{ system, arch string }

func (b *build) name(service string) string { return b.prefix + "-" + service + ":" + b.version }

// labels returns the standard OCI labels.
func (b *build) labels(service string) map[string]string {
	return map[string]string{
		"org.opencontainers.image.title":    "parley-" + service,
		"org.opencontainers.image.version":  b.version,
		"org.opencontainers.image.revision": b.commit,
		"org.opencontainers.image.created":  b.date.Format(time.RFC3339),
		"org.opencontainers.image.source":   source,
		"org.opencontainers.image.licenses": "Apache-2.0",
	}
}

// index builds a service's image for all platforms.
func (b *build) index(service string) (v1.ImageIndex, []v1.Image, error) {
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	images := make([]v1.Image, 0, len(b.platforms))
	for _, platform := range b.platforms {
		image, err := b.image(service, platform)
		if err != nil {
			return nil, nil, err
		}
		images = append(images, image)
		index = mutate.AppendManifests(index, mutate.IndexAddendum{
			Add: image, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: platform.system, Architecture: platform.arch}},
		})
	}
	return index, images, nil
}

// image builds the image for one platform. Its only file is the program.
func (b *build) image(service string, platform target) (v1.Image, error) {
	program, err := os.ReadFile(filepath.Join(b.programs, platform.system+"-"+platform.arch, service)) //nolint:gosec // the caller names the folder
	if err != nil {
		return nil, fmt.Errorf("the program is missing; run make images: %w", err)
	}
	if err = checkStatic(program); err != nil {
		return nil, err
	}
	layer, err := b.layer(service, program)
	if err != nil {
		return nil, err
	}
	image := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	image, err = mutate.Append(image, mutate.Addendum{
		Layer:   layer,
		History: v1.History{Created: v1.Time{Time: b.date}, CreatedBy: "COPY /out/ /"},
	})
	if err != nil {
		return nil, err
	}
	config, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture, config.Created = platform.system, platform.arch, v1.Time{Time: b.date}
	config.Config = v1.Config{
		User: user, Entrypoint: []string{"/" + service}, WorkingDir: "/", Labels: b.labels(service),
		ExposedPorts: map[string]struct{}{"8080/tcp": {}, "8081/tcp": {}, "9090/tcp": {}},
	}
	return mutate.ConfigFile(image, config)
}

// checkStatic returns an error for a program that needs shared libraries, which the image does not have.
func checkStatic(program []byte) error {
	file, err := elf.NewFile(bytes.NewReader(program))
	if err != nil {
		return fmt.Errorf("the program is not a Linux program: %w", err)
	}
	for _, p := range file.Progs {
		if p.Type == elf.PT_INTERP {
			return fmt.Errorf("the program is dynamically linked; build it with CGO_ENABLED=0")
		}
	}
	return nil
}

func (b *build) layer(service string, program []byte) (v1.Layer, error) {
	var content bytes.Buffer
	w := tar.NewWriter(&content)
	header := &tar.Header{Name: service, Typeflag: tar.TypeReg, Mode: 0o555, Size: int64(len(program)), ModTime: b.date, Format: tar.FormatPAX}
	if err := w.WriteHeader(header); err != nil {
		return nil, err
	}
	if _, err := w.Write(program); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return tarball.LayerFromOpener(
		func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content.Bytes())), nil },
		tarball.WithMediaType(types.OCILayer), tarball.WithCompressionLevel(gzip.BestCompression), tarball.WithCompressedCaching,
	)
}
