package main

import (
	"fmt"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// push pushes a service's image for all platforms to the registry in its name. The registry's digest is that of the
// file.
func (b *build) push(service string) error {
	index, _, err := b.index(service)
	if err != nil {
		return err
	}
	reference, err := name.ParseReference(b.name(service))
	if err != nil {
		return fmt.Errorf("push: %w", err)
	}
	if err = remote.WriteIndex(reference, index, remote.WithAuthFromKeychain(authn.DefaultKeychain)); err != nil {
		return fmt.Errorf("push %s: %w", reference, err)
	}
	return nil
}
