//go:build linux

package bench

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/parley-chat/parley/pkg/lifecycle"
	"github.com/parley-chat/parley/services/standalone/internal/bench/floor"
	"github.com/parley-chat/parley/services/standalone/internal/cluster"
	"github.com/parley-chat/parley/services/standalone/internal/datadir"
)

// stage is what scenarios play on: a cluster of 1 auth, 2 rooms pods, 2 edges, PostgreSQL and Redis,
// and the floor.
type stage struct {
	site
	cluster *cluster.Cluster
	floor   *cluster.Child
	keeping *cluster.Child // the floor that keeps what it acks, by the cluster's PostgreSQL and Redis
	program string         // of the bench
	folder  string
}

// unlimited lifts the limits per user and address: all that comes, comes from one address.
func unlimited() []string {
	return append(cluster.WithoutLimits(), "PARLEY_TOKEN_LIFETIME=1h")
}

// onStage starts everything in a temporary folder, plays, and stops it.
func onStage(ctx context.Context, program string, errOut io.Writer, play func(context.Context, *stage) error) (err error) {
	folder, err := os.MkdirTemp("", "parley-bench-")
	if err != nil {
		return fmt.Errorf("temporary folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	dir, err := datadir.Open(folder)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dir.Close()) }()
	password := rand.Text()
	env := append(unlimited(), "PARLEY_ADMIN_USER="+adminName, "PARLEY_ADMIN_PASSWORD="+password)
	config := cluster.Config{Listen: "127.0.0.1:0", Bin: filepath.Dir(program), Rooms: 2, Edges: 2, Env: env}
	c, err := cluster.New(ctx, config, dir, slog.New(slog.NewTextHandler(errOut, nil)), func(string) {})
	if err != nil {
		return err
	}
	s := &stage{cluster: c, program: program, folder: folder}
	s.authURL, s.roomsURL = "http://"+c.Child("auth").Address, "http://"+c.Child("rooms-1").Address
	s.password = password
	if s.floor, err = floorServer(ctx, program, "floor", dir.Path("log", "floor.log")); err != nil {
		return err
	}
	if s.keeping, err = floorServer(ctx, program, "keeping", dir.Path("log", "keeping.log"), c.Postgres.URL(cluster.RoomsDatabase), c.Redis.URL()); err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	return lifecycle.Run(ctx, func() {}, append(c.Parts(), lifecycle.Part{Name: "floor", Component: s.floor},
		lifecycle.Part{Name: "keeping floor", Component: s.keeping}, lifecycle.Part{
			Name: "bench", Component: &player{stop: stop, play: func(ctx context.Context) error {
				return play(ctx, s)
			}},
		})...)
}

// player is a part that ends all others when it is done.
type player struct {
	stop context.CancelFunc
	play func(context.Context) error
}

// Run implements lifecycle.Component.
func (p *player) Run(ctx context.Context, ready func()) error {
	ready()
	err := p.play(ctx)
	p.stop()
	<-ctx.Done()
	return err
}

// floorServer plans a floor as a process of its own.
func floorServer(ctx context.Context, program, name, log string, stores ...string) (*cluster.Child, error) {
	address, err := freeAddress(ctx)
	if err != nil {
		return nil, err
	}
	return &cluster.Child{
		Name: name, Address: address, Path: program, Args: append([]string{"floor", address}, stores...), LogFile: log,
		Stop: syscall.SIGTERM, Grace: 5 * time.Second,
		Probe: accepts(address),
	}, nil
}

// freeAddress is one that nobody listens on.
func freeAddress(ctx context.Context) (string, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a free address: %w", err)
	}
	if err := listener.Close(); err != nil {
		return "", fmt.Errorf("find a free address: %w", err)
	}
	return listener.Addr().String(), nil
}

// accepts is a probe: somebody accepts connections on address.
func accepts(address string) func(context.Context) error {
	return func(ctx context.Context) error {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
		if err != nil {
			return err
		}
		return conn.Close()
	}
}

// target is a server that the load is put on.
type target struct {
	addresses []string
	children  []*cluster.Child // all of whose time counts
	tokens    func(ctx context.Context, n int) ([]string, error)
}

// parley is Parley with so many of its edges in use. The time of all its processes counts.
func (s *stage) parley(edges int) target {
	t := target{children: s.cluster.Children(), tokens: s.tokens}
	for i := range edges {
		t.addresses = append(t.addresses, s.edge(i).Address)
	}
	return t
}

func (s *stage) edge(i int) *cluster.Child { return s.cluster.Child(fmt.Sprintf("edge-%d", i+1)) }

// bare is the floor, kept the floor that keeps what it acks: the time of its stores counts with it.
func (s *stage) bare() target { return floorOn(s.floor) }

func (s *stage) kept() target {
	return floorOn(s.keeping, s.cluster.Child("postgres"), s.cluster.Child("redis"))
}

func floorOn(server *cluster.Child, others ...*cluster.Child) target {
	return target{addresses: []string{server.Address}, children: append(others, server), tokens: func(_ context.Context, n int) ([]string, error) {
		tokens := make([]string, n)
		for i := range tokens {
			tokens[i] = floor.Token()
		}
		return tokens, nil
	}}
}

// restart starts a child anew and waits until it serves.
func restart(ctx context.Context, child *cluster.Child) error {
	before := child.PID()
	if err := child.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	return served(ctx, child, before)
}

// served waits until a child serves as another process than before.
func served(ctx context.Context, child *cluster.Child, before int) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		if pid := child.PID(); pid != 0 && pid != before && child.Probe(ctx) == nil {
			return nil
		}
		if err := pause(ctx, 50*time.Millisecond); err != nil {
			return fmt.Errorf("until %s serves again: %w", child.Name, err)
		}
	}
}

// pause waits, or returns why ctx ended.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
