// Command images packs the services' programs into container images without a container engine. The images are
// like those of the Dockerfile. Each is one file for `docker load`, `ctr images import` or `crane push`. The
// same programs give the same digests. It is a separate module, so that the services do not depend on its libraries.
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
	flags.StringVar(&b.programs, "programs", "", "folder of the programs, with paths of the form <os>-<arch>/<service>")
	flags.StringVar(&b.out, "out", "", "folder to write the images to")
	flags.StringVar(&b.prefix, "prefix", "", "prefix of the images' names, such as ghcr.io/parley-chat/parley")
	flags.StringVar(&b.version, "version", "", "the images' tag")
	flags.StringVar(&b.commit, "commit", "", "commit that the programs were built from")
	push := flags.Bool("push", false, "also push each image to the registry in its name, with the credentials of `docker login` or `crane auth login`")
	date := flags.String("date", "", "date of the commit, such as 2026-11-22T03:04:05Z")
	platforms := flags.String("platforms", "", "comma-separated platforms, such as linux/amd64,linux/arm64")
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
	if err := os.MkdirAll(b.out, 0o755); err != nil { //nolint:gosec // images are public
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
