//go:build linux

package soak

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"

	"github.com/parley-chat/parley/pkg/stream"
	"github.com/parley-chat/parley/test/localcluster"
	"github.com/parley-chat/parley/test/procs"
)

// Sample is what there was at one moment.
type Sample struct {
	Seconds   float64            `json:"seconds"` // since the load began
	Clients   int                `json:"clients"` // that were there
	Processes map[string]Process `json:"processes"`
	Redis     Keyspace           `json:"redis"`
	// Postgres is the connections of clients to PostgreSQL.
	Postgres int `json:"postgres_connections"`
}

// Process is what one service's process held.
type Process struct {
	PID        int         `json:"pid"`
	Resident   int64       `json:"resident_bytes"`
	Live       int64       `json:"live_bytes"` // what the last garbage collection left, about
	Goroutines int         `json:"goroutines"`
	Files      Descriptors `json:"descriptors"`
}

// String is a line for people.
func (s Sample) String() string {
	var parts []string
	for _, name := range services() {
		p := s.Processes[name]
		parts = append(parts, fmt.Sprintf("%s %s %d go %d fd", name, mib(float64(p.Resident)), p.Goroutines, p.Files.all()))
	}
	return fmt.Sprintf("%d clients; %s; redis %s %s; postgres %d", s.Clients, strings.Join(parts, ", "), s.Redis, mib(float64(s.Redis.Memory)), s.Postgres)
}

// services are the processes that are watched, in the order of reports.
func services() []string {
	return []string{"edge-1", "edge-2", "edge-3", "rooms-1", "rooms-2", "auth", "web"}
}

// sampler looks at a cluster from outside.
type sampler struct {
	cluster *localcluster.Cluster
	http    *http.Client
	redis   redis.UniversalClient
	close   func()
}

func newSampler(c *localcluster.Cluster) (*sampler, error) {
	client, err := stream.Open(c.Redis.URL())
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{DisableKeepAlives: true} // no connection of ours among those that are counted
	return &sampler{
		cluster: c, http: &http.Client{Transport: transport, Timeout: 10 * time.Second}, redis: client,
		close: func() { _ = client.Close() },
	}, nil
}

func (s *sampler) sample(ctx context.Context, at time.Duration) (Sample, error) {
	sample := Sample{Seconds: at.Seconds(), Processes: map[string]Process{}}
	connections, err := readConnections()
	if err != nil {
		return sample, err
	}
	for _, name := range services() {
		if sample.Processes[name], err = s.process(ctx, s.cluster.Child(name), connections); err != nil {
			return sample, fmt.Errorf("%s: %w", name, err)
		}
	}
	if sample.Redis, err = readKeys(ctx, s.redis); err != nil {
		return sample, err
	}
	sample.Postgres, err = s.postgres(ctx)
	return sample, err
}

func (s *sampler) process(ctx context.Context, child *localcluster.Child, connections map[string]connection) (p Process, err error) {
	p.PID = child.PID()
	usage, err := procs.Of(p.PID)
	if err != nil {
		return p, err
	}
	p.Resident = usage.Resident
	if p.Files, err = descriptorsOf(p.PID, connections, portOf(s.cluster.Redis.Address), portOf(s.cluster.Postgres.Address)); err != nil {
		return p, err
	}
	metrics, err := s.metrics(ctx, child.Admin)
	if err != nil {
		return p, err
	}
	p.Goroutines = int(metrics["go_goroutines"])
	p.Live = int64(metrics["go_memstats_next_gc_bytes"]) / 2 // GOGC is 100: it comes at twice of what it left
	return p, nil
}

// metrics reads those of a service that have no labels and that are looked at here.
func (s *sampler) metrics(ctx context.Context, admin string) (map[string]float64, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+admin+"/metrics", http.NoBody)
	if err != nil {
		return nil, err
	}
	response, err := s.http.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	found := map[string]float64{}
	lines := bufio.NewScanner(response.Body)
	for lines.Scan() {
		name, text, _ := strings.Cut(lines.Text(), " ")
		if name == "go_goroutines" || name == "go_memstats_next_gc_bytes" {
			if found[name], err = strconv.ParseFloat(text, 64); err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	if len(found) < 2 {
		return nil, errors.Join(errors.New("the metrics tell nothing of the runtime"), lines.Err())
	}
	return found, nil
}

func (s *sampler) postgres(ctx context.Context) (n int, err error) {
	conn, err := pgx.Connect(ctx, s.cluster.Postgres.URL(localcluster.RoomsDatabase))
	if err != nil {
		return 0, fmt.Errorf("count connections: %w", err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	err = conn.QueryRow(ctx, `SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()`).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("count connections: %w", err)
	}
	return n, nil
}

func mib(bytes float64) string { return fmt.Sprintf("%.1f MiB", bytes/(1<<20)) }
