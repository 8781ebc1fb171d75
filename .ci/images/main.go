// Command images packs the services' programs into images, without a container engine: what the
// Dockerfile makes, in one file for each service that `docker load`, `ctr images import` and
// `crane push` take. The same programs give the same digests. It is a module of its own, so that no service
// depends on what packs it.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "images:", err)
		os.Exit(1)
	}
}

func run(args []string, out io.Writer) error {
	flags := flag.NewFlagSet("images", flag.ContinueOnError)
	var b build
	flags.StringVar(&b.programs, "programs", "", "folder with the programs, as <os>-<arch>/<service>")
	flags.StringVar(&b.out, "out", "", "folder that takes the images")
	flags.StringVar(&b.prefix, "prefix", "", "what the images' names begin with, such as ghcr.io/parley-chat/parley")
	flags.StringVar(&b.version, "version", "", "the images' tag")
	flags.StringVar(&b.commit, "commit", "", "what the programs were made from")
	push := flags.Bool("push", false, "push each image to the registry that its name begins with too, signed in as `docker login` or `crane auth login` left it")
	date := flags.String("date", "", "when that was, as in 2026-11-22T03:04:05Z")
	platforms := flags.String("platforms", "", "comma-separated, such as linux/amd64,linux/arm64")
	if err := flags.Parse(args); err != nil {
		return err
	}
	var err error
	if b.date, err = time.Parse(time.RFC3339, *date); err != nil {
		return fmt.Errorf("-date: %w", err)
	}
	b.date = b.date.UTC()
	for platform := range strings.SplitSeq(*platforms, ",") {
		system, arch, ok := strings.Cut(platform, "/")
		if !ok {
			return fmt.Errorf("-platforms: %q is not of the form linux/amd64", platform)
		}
		b.platforms = append(b.platforms, target{system, arch})
	}
	if flags.NArg() == 0 {
		return errors.New("usage: images [flags] SERVICE…")
	}
	if err := os.MkdirAll(b.out, 0o755); err != nil { //nolint:gosec // everybody may read images
		return err
	}
	for _, service := range flags.Args() {
		path := filepath.Join(b.out, "parley-"+service+".tar")
		digest, err := b.write(service, path)
		if err != nil {
			return fmt.Errorf("%s: %w", service, err)
		}
		if *push {
			if err = b.push(service); err != nil {
				return fmt.Errorf("%s: %w", service, err)
			}
		}
		_, _ = fmt.Fprintf(out, "%s  %s@%s\n", path, b.name(service), digest)
	}
	return nil
}
