//go:build linux

package bench

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/parley-chat/parley/pkg/lifecycle"
	"github.com/parley-chat/parley/test/bench/floor"
	"github.com/parley-chat/parley/test/harness"
	"github.com/parley-chat/parley/test/localcluster"
)

// stage is what scenarios play on: a cluster of 1 auth, 2 rooms pods, 2 edges, PostgreSQL and Redis,
// and the floor.
type stage struct {
	site
	cluster *harness.Cluster
	floor   *localcluster.Child
	keeping *localcluster.Child // the floor that keeps what it acks, by the cluster's PostgreSQL and Redis
	program string              // of the bench
	folder  string
}

// unlimited lifts the limits per user and address: all that comes, comes from one address.
func unlimited() []string {
	return append(localcluster.WithoutLimits(), "PARLEY_TOKEN_LIFETIME=1h")
}

// onStage starts everything in a temporary folder, plays, and stops it.
func onStage(ctx context.Context, program string, log *slog.Logger, play func(context.Context, *stage) error) (err error) {
	folder, err := os.MkdirTemp("", "parley-bench-")
	if err != nil {
		return fmt.Errorf("temporary folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	running, c, err := harness.Start(ctx, folder, localcluster.Config{Bin: filepath.Dir(program), Edges: 2, Env: unlimited()}, log, func(string) {})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Stop()) }()
	s := &stage{cluster: c, program: program, folder: folder}
	s.authURL, s.roomsURL = "http://"+c.Child("auth").Address, "http://"+c.Child("rooms-1").Address
	if s.floor, err = floorServer(ctx, program, "floor", c.Folder.Path("log", "floor.log")); err != nil {
		return err
	}
	if s.keeping, err = floorServer(ctx, program, "keeping", c.Folder.Path("log", "keeping.log"), c.Postgres.URL(localcluster.RoomsDatabase), c.Redis.URL()); err != nil {
		return err
	}
	playing, stop := context.WithCancel(running)
	defer stop()
	return lifecycle.Run(playing, func() {}, lifecycle.Part{Name: "floor", Component: s.floor},
		lifecycle.Part{Name: "keeping floor", Component: s.keeping}, lifecycle.Part{
			Name: "bench", Component: &player{stop: stop, play: func(ctx context.Context) error {
				return play(ctx, s)
			}},
		})
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
func floorServer(ctx context.Context, program, name, log string, stores ...string) (*localcluster.Child, error) {
	address, err := freeAddress(ctx)
	if err != nil {
		return nil, err
	}
	return &localcluster.Child{
		Name: name, Address: address, Path: program, Args: append([]string{"bench", "floor", address}, stores...), LogFile: log,
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
	children  []*localcluster.Child // all of whose time counts
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

func (s *stage) edge(i int) *localcluster.Child { return s.cluster.Child(fmt.Sprintf("edge-%d", i+1)) }

// bare is the floor, kept the floor that keeps what it acks: the time of its stores counts with it.
func (s *stage) bare() target { return floorOn(s.floor) }

func (s *stage) kept() target {
	return floorOn(s.keeping, s.cluster.Child("postgres"), s.cluster.Child("redis"))
}

func floorOn(server *localcluster.Child, others ...*localcluster.Child) target {
	return target{addresses: []string{server.Address}, children: append(others, server), tokens: func(_ context.Context, n int) ([]string, error) {
		tokens := make([]string, n)
		for i := range tokens {
			tokens[i] = floor.Token()
		}
		return tokens, nil
	}}
}

// restart starts a child anew and waits until it serves.
func restart(ctx context.Context, child *localcluster.Child) error {
	before := child.PID()
	if err := child.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	return served(ctx, child, before)
}

// served waits until a child serves as another process than before.
func served(ctx context.Context, child *localcluster.Child, before int) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		if pid := child.PID(); pid != 0 && pid != before && child.Probe(ctx) == nil {
			return nil
		}
		if err := harness.Pause(ctx, 50*time.Millisecond); err != nil {
			return fmt.Errorf("until %s serves again: %w", child.Name, err)
		}
	}
}
