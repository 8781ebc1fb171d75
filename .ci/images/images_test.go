//go:build long

package main

import (
	"archive/tar"
	"bytes"
	"debug/elf"
	"errors"
	"io"
	"log/slog"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

const root = "../.."

// programs is a folder with a small program in the place of a service's, for two platforms.
func programs(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "main.go"), []byte("package main\n\nfunc main() {}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, platform := range []string{"linux-amd64", "linux-arm64"} { // the packer does not look which it is
		cmd := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(folder, platform, "auth"), filepath.Join(folder, "main.go"))
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOWORK=off")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	return folder
}

func pack(t *testing.T, programs string) (path, said string) {
	t.Helper()
	var out strings.Builder
	folder := t.TempDir()
	err := run([]string{
		"-programs", programs, "-out", folder, "-prefix", "registry.example/parley", "-version", "1.2.3", "-commit", "abc",
		"-date", "2026-11-22T03:04:05Z", "-platforms", "linux/amd64,linux/arm64", "auth",
	}, &out)
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(folder, "parley-auth.tar"), strings.TrimPrefix(out.String(), folder)
}

func TestSameProgramsSameImages(t *testing.T) {
	from := programs(t)
	path, said := pack(t, from)
	again, saidAgain := pack(t, from)
	one, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	two, err := os.ReadFile(again)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(one, two) || said != saidAgain {
		t.Errorf("the same programs give different images: %s and %s", said, saidAgain)
	}
	if !strings.Contains(said, "registry.example/parley-auth:1.2.3@sha256:") {
		t.Errorf("it says %q", said)
	}
}

// What a registry has after a push is what the file has.
func TestARegistryGetsTheSame(t *testing.T) {
	from := programs(t)
	server := httptest.NewServer(registry.New(registry.Logger(slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo))))
	defer server.Close()
	prefix := strings.TrimPrefix(server.URL, "http://") + "/parley"
	var out strings.Builder
	if err := run([]string{
		"-push", "-programs", from, "-out", t.TempDir(), "-prefix", prefix, "-version", "1.2.3", "-commit", "abc",
		"-date", "2026-11-22T03:04:05Z", "-platforms", "linux/amd64,linux/arm64", "auth",
	}, &out); err != nil {
		t.Fatal(err)
	}
	_, digest, _ := strings.Cut(strings.TrimSpace(out.String()), "@")
	reference, err := name.ParseReference(prefix + "-auth:1.2.3")
	if err != nil {
		t.Fatal(err)
	}
	index, err := remote.Index(reference)
	if err != nil {
		t.Fatal(err)
	}
	got, err := index.Digest()
	if err != nil || got.String() != digest {
		t.Errorf("the registry has %s, the file %s, %v", got, digest, err)
	}
	if err = validate.Index(index); err != nil {
		t.Error(err)
	}
}

// Older engines find one image by manifest.json.
func TestDockerLoads(t *testing.T) {
	from := programs(t)
	path, _ := pack(t, from)
	image, err := tarball.ImageFromPath(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	holds(t, image, filepath.Join(from, "linux-amd64", "auth"))
	manifest, err := tarball.LoadManifest(func() (io.ReadCloser, error) { return os.Open(path) })
	if err != nil || !slices.Equal(manifest[0].RepoTags, []string{"registry.example/parley-auth:1.2.3"}) {
		t.Errorf("it is called %v, %v", manifest, err)
	}
}

// containerd and registries take the layout with all platforms.
func TestContainerdImports(t *testing.T) {
	from := programs(t)
	path, _ := pack(t, from)
	folder := unpack(t, path)
	at, err := layout.FromPath(folder)
	if err != nil {
		t.Fatal(err)
	}
	outer, err := at.ImageIndex()
	if err != nil {
		t.Fatal(err)
	}
	if err = validate.Index(outer); err != nil {
		t.Error(err)
	}
	manifest, err := outer.IndexManifest()
	if err != nil || len(manifest.Manifests) != 1 {
		t.Fatal(manifest, err)
	}
	if name := manifest.Manifests[0].Annotations["io.containerd.image.name"]; name != "registry.example/parley-auth:1.2.3" {
		t.Errorf("it is called %q", name)
	}
	index, err := outer.ImageIndex(manifest.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	inner, err := index.IndexManifest()
	if err != nil || len(inner.Manifests) != 2 {
		t.Fatal(inner, err)
	}
	for i, arch := range []string{"amd64", "arm64"} {
		if p := inner.Manifests[i].Platform; p.OS != "linux" || p.Architecture != arch {
			t.Errorf("platform %d is %v", i, p)
		}
		image, err := index.Image(inner.Manifests[i].Digest)
		if err != nil {
			t.Fatal(err)
		}
		holds(t, image, filepath.Join(from, "linux-"+arch, "auth"))
	}
}

// holds is what must be true of every image.
func holds(t *testing.T, image v1.Image, program string) {
	t.Helper()
	file, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	c := file.Config
	if c.User != "10001:10001" || !slices.Equal(c.Entrypoint, []string{"/auth"}) || len(c.Cmd)+len(c.Env)+len(c.Volumes) > 0 {
		t.Errorf("its configuration is %+v", c)
	}
	for name, want := range map[string]string{"title": "parley-auth", "version": "1.2.3", "revision": "abc", "created": "2026-11-22T03:04:05Z"} {
		if got := c.Labels["org.opencontainers.image."+name]; got != want {
			t.Errorf("label %s is %q", name, got)
		}
	}
	want, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	layers, err := image.Layers()
	if err != nil || len(layers) != 1 {
		t.Fatal(layers, err)
	}
	content, err := layers[0].Uncompressed()
	if err != nil {
		t.Fatal(err)
	}
	r := tar.NewReader(content)
	header, err := r.Next()
	if err != nil || header.Name != "auth" || header.Mode != 0o555 || header.Uid != 0 || header.Gid != 0 {
		t.Fatalf("it holds %+v, %v", header, err)
	}
	got, err := io.ReadAll(r)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("the program in it is another: %v", err)
	}
	if header, err = r.Next(); !errors.Is(err, io.EOF) {
		t.Errorf("it holds %v too", header)
	}
}

func unpack(t *testing.T, path string) string {
	t.Helper()
	folder := t.TempDir()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	for r := tar.NewReader(file); ; {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			return folder
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(r)
		if err == nil {
			err = os.MkdirAll(filepath.Dir(filepath.Join(folder, header.Name)), 0o750)
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(folder, header.Name), content, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestRefusesWhatWouldNotRun(t *testing.T) {
	if err := checkStatic([]byte("#!/bin/sh\n")); err == nil {
		t.Error("a script is taken")
	}
	shell, err := os.ReadFile("/bin/sh")
	if err != nil {
		t.Skip("no /bin/sh here")
	}
	if file, err := elf.NewFile(bytes.NewReader(shell)); err != nil || file.Section(".interp") == nil {
		t.Skip("/bin/sh is not linked dynamically here")
	}
	if err := checkStatic(shell); err == nil {
		t.Error("a program that is linked dynamically is taken")
	}
}

// TestDockerfileIsTheSameRecipe holds the Dockerfile and the Makefile against what is packed here.
func TestDockerfileIsTheSameRecipe(t *testing.T) {
	read := func(name string) string {
		content, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		return strings.ReplaceAll(string(content), "\\\n", "")
	}
	dockerfile, makefile := read("services/Dockerfile"), read("Makefile")
	_, last, _ := strings.Cut(dockerfile, "\nFROM entry-${SERVICE}\n")
	if want := "\nUSER " + user + "\n"; !strings.Contains(last, want) {
		t.Errorf("the Dockerfile lacks %q", want)
	}
	b := build{}
	labels := b.labels("x")
	found := regexp.MustCompile(`(org\.opencontainers\.[a-z.]+)=`).FindAllStringSubmatch(last, -1)
	if len(found) != len(labels) {
		t.Errorf("the Dockerfile has %d labels, this has %d", len(found), len(labels))
	}
	for _, label := range found {
		if _, ok := labels[label[1]]; !ok {
			t.Errorf("only the Dockerfile has the label %s", label[1])
		}
	}
	services := strings.Fields(regexp.MustCompile(`\nSERVICES *:= *(.*)\n`).FindStringSubmatch(makefile)[1])
	var entries []string
	for _, entry := range regexp.MustCompile(`FROM scratch AS entry-([a-z]+)\nENTRYPOINT \["/([a-z]+)"\]`).FindAllStringSubmatch(dockerfile, -1) {
		if entry[1] != entry[2] {
			t.Errorf("the entrypoint of %s is /%s", entry[1], entry[2])
		}
		entries = append(entries, entry[1])
	}
	if !slices.Equal(entries, services) {
		t.Errorf("the Dockerfile makes %v, the Makefile %v", entries, services)
	}
	// What decides about the bytes of a program, in the order in which both have it.
	flags := regexp.MustCompile(`-trimpath|-buildvcs=\S+|-ldflags|-s -w|-tags \S+|-X \S+\.(version|commit|date)=`)
	of := func(text string) []string {
		found := flags.FindAllString(text, -1)
		for i, flag := range found {
			if strings.HasPrefix(flag, "-X ") {
				found[i] = flag[strings.LastIndex(flag, ".")+1:]
			}
		}
		return found
	}
	_, release, _ := strings.Cut(makefile, "\nGOFLAGS_RELEASE = ")
	release, _, _ = strings.Cut(release, "\n")
	_, compiled, _ := strings.Cut(dockerfile, " go build ")
	compiled, _, _ = strings.Cut(compiled, "\n")
	if got, want := of(compiled), of(release); !slices.Equal(got, want) || len(want) < 6 {
		t.Errorf("the Dockerfile builds with %v, the Makefile with %v", got, want)
	}
}
