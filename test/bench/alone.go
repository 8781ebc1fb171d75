//go:build linux

package bench

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"path/filepath"
	"syscall"
	"time"

	"github.com/parley-chat/parley/pkg/lifecycle"
	"github.com/parley-chat/parley/test/harness"
	"github.com/parley-chat/parley/test/localcluster"
)

// alone measures the standalone server: one process on SQLite and a Redis of its own.
func (b *bench) alone(ctx context.Context) error {
	address, err := freeAddress(ctx)
	if err != nil {
		return err
	}
	base := "http://" + address
	s := &site{authURL: base, roomsURL: base}
	child := &localcluster.Child{
		Name: "standalone", Address: address, Path: filepath.Join(filepath.Dir(b.stage.program), "standalone"),
		LogFile: filepath.Join(b.stage.folder, "log", "standalone.log"), Stop: syscall.SIGTERM, Grace: 10 * time.Second, Probe: accepts(address),
		Env: append(unlimited(), "PARLEY_LISTEN="+address, "PARLEY_DATA="+filepath.Join(b.stage.folder, "standalone-"+rand.Text()),
			"PARLEY_ADMIN_USER="+harness.AdminName, "PARLEY_ADMIN_PASSWORD="+harness.AdminPassword),
	}
	on := target{addresses: []string{address}, children: []*localcluster.Child{child}, tokens: s.tokens}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	return lifecycle.Run(ctx, func() {}, lifecycle.Part{Name: "standalone", Component: child}, lifecycle.Part{
		Name: "bench", Component: &player{stop: stop, play: func(ctx context.Context) error {
			if err := s.signIn(ctx); err != nil {
				return err
			}
			return errors.Join(s.needRooms(ctx, ackedRooms), b.aloneOn(ctx, on))
		}},
	})
}

func (b *bench) aloneOn(ctx context.Context, on target) error {
	if err := b.fanoutBeside(ctx, on, 100, "rooms of 100, standalone", goal{}); err != nil {
		return err
	}
	if err := b.saturate(ctx, on, "1000 sockets, rooms of 100, standalone", fanoutSockets, 100, goal{}); err != nil {
		return err
	}
	if err := b.ackedOn(ctx, on, ", standalone, SQLite with fsync", goal{}); err != nil {
		return fmt.Errorf("acked: %w", err)
	}
	return nil
}
