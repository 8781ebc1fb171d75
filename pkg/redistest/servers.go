package redistest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// password is the password of all servers started here, so that tests prove that clients always send it.
const password = "sesame"

// startTimeout bounds how long servers may take to become ready. The slowest is a cluster, whose masters accept
// nothing for 2 s.
const startTimeout = time.Minute

// Start starts a server with a password that ends with the test, and returns its address.
func Start(t *testing.T, password string) string {
	t.Helper()
	s := start(t, "maxclients 100")
	if err := s.admin.ConfigSet(t.Context(), "requirepass", password).Err(); err != nil {
		t.Fatal(err)
	}
	return s.address
}

// server is a Redis server that a test started.
type server struct {
	address string
	admin   *redis.Client
	process *exec.Cmd
	exited  chan struct{}
}

// start starts a server on a free port and waits until it answers.
func start(t *testing.T, args ...string) *server {
	t.Helper()
	path, err := exec.LookPath("redis-server")
	if err != nil {
		t.Fatal("Redis is not installed: there is no redis-server on PATH (Debian: apt-get install redis-server)")
	}
	for try := 1; ; try++ { // a free port may be taken before the server listens
		s, err := tryStart(t, path, args)
		if err == nil {
			return s
		}
		if try == 3 {
			t.Fatal(err)
		}
	}
}

func tryStart(t *testing.T, path string, args []string) (*server, error) {
	t.Helper()
	port, bus := freePort(t), freePort(t)
	folder := t.TempDir()
	file := filepath.Join(folder, "redis.conf") // sentinels need a file that they can write to
	settings := append([]string{
		"bind 127.0.0.1", "port " + port, "dir " + folder, `save ""`, "appendonly no", "logfile log", "requirepass " + password,
	}, args...)
	mode := []string{file}
	switch {
	case strings.HasPrefix(args[0], "sentinel "):
		mode = append(mode, "--sentinel")
		settings = append(settings[:3:3], settings[5:]...) // sentinels know no persistence settings
	case args[0] == clusterEnabled:
		settings = append(settings, "cluster-port "+bus)
	}
	if err := os.WriteFile(file, []byte(strings.Join(settings, "\n")+"\n"), 0o600); err != nil {
		return nil, err
	}
	s := &server{address: "127.0.0.1:" + port, process: exec.CommandContext(context.WithoutCancel(t.Context()), path, mode...), exited: make(chan struct{})} //nolint:gosec // what LookPath found
	s.admin = redis.NewClient(&redis.Options{Addr: s.address, Password: password, MaxRetries: -1})
	if err := s.process.Start(); err != nil {
		return nil, err
	}
	go func() {
		defer close(s.exited)
		_ = s.process.Wait()
	}()
	t.Cleanup(s.kill)
	return s, s.waitUntil(t, "it answers", func(ctx context.Context) bool { return s.admin.Ping(ctx).Err() == nil })
}

func freePort(t *testing.T) string {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	return port
}

var errExited = errors.New("it has exited")

// waitUntil waits for a condition, which the error calls what.
func (s *server) waitUntil(t *testing.T, what string, ok func(context.Context) bool) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), startTimeout)
	defer cancel()
	pause := time.NewTicker(20 * time.Millisecond)
	defer pause.Stop()
	for !ok(ctx) {
		select {
		case <-pause.C:
		case <-s.exited:
			return fmt.Errorf("redis-server %s: %w before %s", s.address, errExited, what)
		case <-ctx.Done():
			return fmt.Errorf("redis-server %s: not within %s: %s", s.address, startTimeout, what)
		}
	}
	return nil
}

// kill kills the server, as if its machine failed.
func (s *server) kill() {
	_ = s.process.Process.Kill()
	<-s.exited
	_ = s.admin.Close()
}

// must runs commands, and fails the test if one fails.
func (s *server) must(t *testing.T, commands ...string) {
	t.Helper()
	for _, command := range commands {
		var args []any
		for word := range strings.FieldsSeq(command) {
			args = append(args, word)
		}
		if err := s.admin.Do(t.Context(), args...).Err(); err != nil {
			t.Fatalf("redis %s: %s: %v", s.address, command, err)
		}
	}
}

// infoHas reports whether a section of INFO, or CLUSTER INFO for section "cluster", contains a line.
func (s *server) infoHas(ctx context.Context, section, line string) bool {
	text, err := s.admin.Info(ctx, section).Result()
	if section == "cluster" {
		text, err = s.admin.ClusterInfo(ctx).Result()
	}
	return err == nil && strings.Contains(text, line+"\r\n")
}

// Sentinel is a master, its replica, and a sentinel that monitors them.
type Sentinel struct {
	URL, Password string
	master        *server
}

// StartSentinel starts a Sentinel that ends with the test.
func StartSentinel(t *testing.T) *Sentinel {
	t.Helper()
	auth := "masterauth " + password
	master := start(t, auth)
	host, port, _ := net.SplitHostPort(master.address)
	replica := start(t, auth, "replicaof "+host+" "+port, "repl-diskless-sync-delay 0")
	master.must(t, "config set repl-diskless-sync-delay 0")
	sentinel := start(t,
		"sentinel monitor mymaster "+host+" "+port+" 1", "sentinel auth-pass mymaster "+password,
		"sentinel down-after-milliseconds mymaster 500", "sentinel failover-timeout mymaster 3000")
	for s, what := range map[*server][2]string{replica: {"replication", "master_link_status:up"}, sentinel: {"sentinel", "slaves=1"}} {
		if err := s.waitUntil(t, what[1], func(ctx context.Context) bool {
			text, err := s.admin.Info(ctx, what[0]).Result()
			return err == nil && strings.Contains(text, what[1])
		}); err != nil {
			t.Fatal(err)
		}
	}
	return &Sentinel{
		URL:      "redis+sentinel://:" + password + "@127.0.0.1:1," + sentinel.address + "/0?master=mymaster&sentinel_password=" + password,
		Password: password, master: master,
	}
}

// KillMaster kills the master. The replica becomes the master after a while.
func (s *Sentinel) KillMaster() { s.master.kill() }

// Cluster is a Redis Cluster of three masters, each with a third of the slots.
type Cluster struct {
	URL      string
	masters  []*server
	replicas []*server
	ids      []string
}

const (
	clusterEnabled = "cluster-enabled yes"
	slots          = 16384
)

// StartCluster starts a Cluster that ends with the test. The first masters have a replica each, replicas in all, which
// do not take over before TakeOver. A node answers for its own slots while other nodes are down.
func StartCluster(t *testing.T, replicas int) *Cluster {
	t.Helper()
	const masters = 3
	var c Cluster
	var all []*server
	for n := range masters + replicas {
		s := start(t, clusterEnabled, "masterauth "+password, "cluster-node-timeout 1000", "cluster-replica-validity-factor 0",
			"cluster-replica-no-failover yes", "cluster-require-full-coverage no", "repl-diskless-sync-delay 0")
		s.must(t, "cluster set-config-epoch "+strconv.Itoa(n+1))
		all = append(all, s)
		id, err := s.admin.ClusterMyID(t.Context()).Result()
		if err != nil {
			t.Fatal(err)
		}
		c.ids = append(c.ids, id)
	}
	c.masters, c.replicas = all[:masters], all[masters:]
	addresses := make([]string, len(all))
	for n, s := range all {
		addresses[n] = s.address
		if n < masters {
			s.must(t, fmt.Sprintf("cluster addslotsrange %d %d", n*slots/masters, (n+1)*slots/masters-1))
		}
	}
	for _, s := range all[1:] {
		host, port, _ := net.SplitHostPort(s.address)
		bus, err := s.admin.ConfigGet(t.Context(), "cluster-port").Result()
		if err != nil {
			t.Fatal(err)
		}
		all[0].must(t, "cluster meet "+host+" "+port+" "+bus["cluster-port"])
	}
	c.waitForAll(t, all, "cluster_known_nodes:"+strconv.Itoa(len(all)))
	for n, s := range all[masters:] {
		s.must(t, "cluster replicate "+c.ids[n])
	}
	c.waitForAll(t, all, "cluster_state:ok")
	for _, s := range all[masters:] {
		if err := s.waitUntil(t, "the replica is in sync", func(ctx context.Context) bool { return s.infoHas(ctx, "replication", "master_link_status:up") }); err != nil {
			t.Fatal(err)
		}
	}
	c.URL = "redis+cluster://:" + password + "@" + strings.Join(addresses, ",")
	return &c
}

// waitForAll waits until the CLUSTER INFO of every server has the line.
func (c *Cluster) waitForAll(t *testing.T, all []*server, line string) {
	t.Helper()
	for _, s := range all {
		if err := s.waitUntil(t, line, func(ctx context.Context) bool { return s.infoHas(ctx, "cluster", line) }); err != nil {
			t.Fatal(err)
		}
	}
}

// owner returns the number of the master that owns key, and the key's slot.
func (c *Cluster) owner(t *testing.T, key string) (master, slot int) {
	t.Helper()
	n, err := c.masters[len(c.masters)-1].admin.ClusterKeySlot(t.Context(), key).Result()
	if err != nil {
		t.Fatal(err)
	}
	return int(n) * len(c.masters) / slots, int(n)
}

// Owner returns the number of the master that owned key before any Move.
func (c *Cluster) Owner(t *testing.T, key string) int {
	t.Helper()
	master, _ := c.owner(t, key)
	return master
}

// Kill kills a master.
func (c *Cluster) Kill(master int) { c.masters[master].kill() }

// TakeOver lets the replicas take over from killed masters. They do so after a while.
func (c *Cluster) TakeOver(t *testing.T) {
	t.Helper()
	for _, s := range c.replicas {
		s.must(t, "config set cluster-replica-no-failover no")
	}
}

// Move moves key's slot to another master, as an operator does to balance a cluster.
func (c *Cluster) Move(t *testing.T, key string, to int) {
	t.Helper()
	from, slot := c.owner(t, key)
	number := strconv.Itoa(slot)
	c.masters[to].must(t, "cluster setslot "+number+" importing "+c.ids[from])
	c.masters[from].must(t, "cluster setslot "+number+" migrating "+c.ids[to])
	host, port, _ := net.SplitHostPort(c.masters[to].address)
	for {
		keys, err := c.masters[from].admin.ClusterGetKeysInSlot(t.Context(), slot, 100).Result()
		if err != nil {
			t.Fatal(err)
		}
		if len(keys) == 0 {
			break
		}
		for _, k := range keys {
			c.masters[from].must(t, "migrate "+host+" "+port+" "+k+" 0 5000 auth "+password)
		}
	}
	for _, s := range []*server{c.masters[to], c.masters[from]} {
		s.must(t, "cluster setslot "+number+" node "+c.ids[to])
	}
}
