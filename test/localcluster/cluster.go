// Package localcluster runs Parley on one machine as it runs in Kubernetes: real PostgreSQL, real Redis
// and several pods of the services as processes of their own, behind one small reverse proxy.
package localcluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/parley-chat/parley/pkg/datadir"
	"github.com/parley-chat/parley/pkg/lifecycle"
)

// Config says what runs where.
type Config struct {
	Listen string // of the proxy, host:port; port 0 takes a free one
	Bin    string // the folder of the services' programs
	Rooms  int    // pods
	Edges  int    // pods
	Env    []string
	// Throwaway gives up the database's safety for speed: for data that does not outlive the test.
	Throwaway bool
	// Relayed puts a relay between the pieces wherever a network is, and adds a second Redis to fail over
	// to.
	Relayed bool
}

// Cluster is everything that runs. Its parts belong to lifecycle.Run.
type Cluster struct {
	// URL is the address of the proxy.
	URL string
	// Postgres and Redis are how to look behind the services.
	Postgres Postgres
	Redis    Redis
	// Standby is the second Redis, which follows nobody until it is told to. Only where Relayed.
	Standby Redis

	config Config
	dir    *datadir.Dir
	notify func(string)
	taken  map[string]bool
	secret string // the file with the service credential
	proxy  *Proxy
	relays []*Relay
	groups []group // in the order of starting
}

// The databases of the services. RoomsDatabase is where the logs are, for whoever looks behind the services.
const (
	authDatabase  = "parley_auth"
	RoomsDatabase = "parley_rooms"
)

// New picks addresses, makes what is missing in dir and opens the proxy's port; nothing runs yet.
// Notify is called with what people should know of.
func New(ctx context.Context, config Config, dir *datadir.Dir, log *slog.Logger, notify func(string)) (*Cluster, error) {
	c := &Cluster{config: config, dir: dir, notify: notify, taken: map[string]bool{}}
	if err := os.MkdirAll(dir.Path("log"), 0o700); err != nil {
		return nil, fmt.Errorf("log folder: %w", err)
	}
	if _, err := dir.Secret("service-credential", datadir.Credential); err != nil {
		return nil, err
	}
	c.secret = dir.Path("service-credential")
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", config.Listen)
	if err != nil {
		return nil, fmt.Errorf("PARLEY_LISTEN: %w", err)
	}
	c.URL = "http://" + listener.Addr().String()
	c.proxy = &Proxy{Listener: listener, Log: log}
	if err := c.plan(ctx); err != nil {
		for _, r := range c.relays {
			_ = r.listener.Close()
		}
		return nil, fmt.Errorf("%w%s", err, closing(listener))
	}
	return c, nil
}

func closing(c io.Closer) string {
	if err := c.Close(); err != nil {
		return "; " + err.Error()
	}
	return ""
}

// Parts are everything in the order of starting.
func (c *Cluster) Parts() []lifecycle.Part {
	parts := make([]lifecycle.Part, 0, len(c.relays)+len(c.groups)+1)
	for _, r := range c.relays {
		parts = append(parts, lifecycle.Part{Name: "relay " + r.Name, Component: r})
	}
	for _, g := range c.groups {
		parts = append(parts, lifecycle.Part{Name: g.names(), Component: g})
	}
	return append(parts, lifecycle.Part{Name: "proxy", Component: c.proxy})
}

// Start runs everything and returns when all of it serves. Its context ends with ctx, or by stop, which
// returns when everything has stopped, with what went wrong.
func (c *Cluster) Start(ctx context.Context) (running context.Context, stop func() error, err error) {
	running, cancel := context.WithCancel(ctx)
	ready, ran := make(chan struct{}), make(chan error, 1)
	go func() { ran <- lifecycle.Run(running, func() { close(ready) }, c.Parts()...) }()
	select {
	case <-ready:
		return running, func() error { cancel(); return <-ran }, nil
	case err := <-ran:
		cancel()
		return nil, nil, errors.Join(err, ctx.Err())
	}
}

// Children are the processes in the order of starting.
func (c *Cluster) Children() []*Child { return slices.Concat(c.groups...) }

// Child finds a process by its name, such as "edge-2"; nil is none.
func (c *Cluster) Child(name string) *Child {
	children := c.Children()
	i := slices.IndexFunc(children, func(child *Child) bool { return child.Name == name })
	if i < 0 {
		return nil
	}
	return children[i]
}

// Relay finds a relay by its name: "edge>redis", "rooms>redis", "auth>redis", "edge>rooms-1" (one for each
// pod), "rooms>postgres", "auth>postgres"; nil is none.
func (c *Cluster) Relay(name string) *Relay {
	i := slices.IndexFunc(c.relays, func(r *Relay) bool { return r.Name == name })
	if i < 0 {
		return nil
	}
	return c.relays[i]
}

// Edges are the public addresses of the edges, as host:port.
func (c *Cluster) Edges() []string { return c.proxy.Edges }

// link is the address under which one piece reaches another.
func (c *Cluster) link(ctx context.Context, name, target string) (string, error) {
	if !c.config.Relayed {
		return target, nil
	}
	listen, err := freeAddress(ctx, c.taken)
	if err != nil {
		return "", err
	}
	r, err := newRelay(ctx, name, listen, target)
	if err != nil {
		return "", err
	}
	c.relays = append(c.relays, r)
	return listen, nil
}

// redisFor is PARLEY_REDIS for the pods of a service.
func (c *Cluster) redisFor(ctx context.Context, service string) (string, error) {
	address, err := c.link(ctx, service+">redis", c.Redis.Address)
	redis := c.Redis
	redis.Address = address
	return "PARLEY_REDIS=" + redis.URL(), err
}

// databaseFor is the URL of a service's database.
func (c *Cluster) databaseFor(ctx context.Context, service, database string) (string, error) {
	postgres := c.Postgres
	var err error
	postgres.Address, err = c.link(ctx, service+">postgres", postgres.Address)
	return postgres.URL(database), err
}

// Table writes what runs where.
func (c *Cluster) Table(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "NAME\tADDRESS\tPID\tLOG")
	for _, child := range c.Children() {
		_, _ = fmt.Fprintf(table, "%s\t%s\t%d\t%s\n", child.Name, child.Address, child.PID(), child.LogFile)
	}
	_, _ = fmt.Fprintf(table, "proxy\t%s\t%d\t\n", strings.TrimPrefix(c.URL, "http://"), os.Getpid())
	if err := table.Flush(); err != nil {
		return fmt.Errorf("print table: %w", err)
	}
	return nil
}

func (c *Cluster) plan(ctx context.Context) error {
	address := func() (string, error) { return freeAddress(ctx, c.taken) }
	password, err := c.dir.Secret("postgres-password", datadir.Credential)
	if err != nil {
		return err
	}
	redisPassword, err := c.dir.Secret("redis-password", datadir.Credential)
	if err != nil {
		return err
	}
	postgresAddress, err := address()
	if err != nil {
		return err
	}
	redisAddress, err := address()
	if err != nil {
		return err
	}
	c.Postgres = Postgres{
		Folder: c.dir.Path("postgres"), Address: postgresAddress, Password: password, LogFile: c.logFile("postgres"),
		Throwaway: c.config.Throwaway, Databases: []string{authDatabase, RoomsDatabase},
	}
	c.Redis = Redis{Name: "redis", Folder: c.dir.Path("redis"), Address: redisAddress, Password: redisPassword, LogFile: c.logFile("redis")}
	postgres, err := c.Postgres.Child(ctx)
	if err != nil {
		return err
	}
	redis, err := c.Redis.Child()
	if err != nil {
		return err
	}
	postgres.Notify, redis.Notify = c.notify, c.notify
	stores := group{postgres, redis}
	if c.config.Relayed {
		if redisAddress, err = address(); err != nil {
			return err
		}
		c.Standby = Redis{Name: "redis-standby", Folder: c.dir.Path("redis-standby"), Address: redisAddress, Password: redisPassword, LogFile: c.logFile("redis-standby")}
		if redis, err = c.Standby.Child(); err != nil {
			return err
		}
		redis.Notify = c.notify
		stores = append(stores, redis)
	}
	c.groups = append(c.groups, stores)
	return c.planServices(ctx)
}

// planServices lays out the pods. Each learns only what its part in DESIGN.md needs: edges have no
// database, and nobody but auth hears of the first administrator.
func (c *Cluster) planServices(ctx context.Context) error {
	authEnv, err := c.storesOf(ctx, "auth", authDatabase)
	if err != nil {
		return err
	}
	auth, err := c.service(ctx, "auth", "auth", authEnv...)
	if err != nil {
		return err
	}
	c.groups = append(c.groups, group{auth.Child})
	c.proxy.Auth = []string{auth.Address}
	authURL := "PARLEY_AUTH_URL=http://" + auth.internal
	roomsEnv, err := c.storesOf(ctx, "rooms", RoomsDatabase)
	if err != nil {
		return err
	}
	var (
		roomsURLs  []string
		pods, ends group
	)
	for i := range c.config.Rooms {
		name := fmt.Sprintf("rooms-%d", i+1)
		var (
			rooms    service
			internal string
		)
		if rooms, err = c.service(ctx, "rooms", name, append(roomsEnv, authURL)...); err != nil {
			return err
		}
		if internal, err = c.link(ctx, "edge>"+name, rooms.internal); err != nil {
			return err
		}
		pods = append(pods, rooms.Child)
		c.proxy.Rooms = append(c.proxy.Rooms, rooms.Address)
		roomsURLs = append(roomsURLs, "http://"+internal)
	}
	redis, err := c.redisFor(ctx, "edge")
	if err != nil {
		return err
	}
	for i := range c.config.Edges {
		var edge service
		edge, err = c.service(ctx, "edge", fmt.Sprintf("edge-%d", i+1), redis, authURL, "PARLEY_ROOMS_URL="+strings.Join(roomsURLs, ","))
		if err != nil {
			return err
		}
		ends = append(ends, edge.Child)
		c.proxy.Edges = append(c.proxy.Edges, edge.Address)
	}
	web, err := c.service(ctx, "web", "web")
	if err != nil {
		return err
	}
	c.proxy.Web = []string{web.Address}
	c.groups = append(c.groups, pods, append(ends, web.Child))
	return nil
}

// storesOf is how a service with a database of its own reaches its stores.
func (c *Cluster) storesOf(ctx context.Context, service, database string) ([]string, error) {
	redis, err := c.redisFor(ctx, service)
	if err != nil {
		return nil, err
	}
	url, err := c.databaseFor(ctx, service, database)
	return []string{redis, "PARLEY_" + strings.ToUpper(service) + "_DATABASE=" + url}, err
}

type service struct {
	*Child
	internal string
}

// service plans one pod. The program is of the service's name; env comes on top of what all are given.
func (c *Cluster) service(ctx context.Context, program, name string, env ...string) (service, error) {
	var addresses [3]string // public, internal, admin
	for i := range addresses {
		var err error
		if addresses[i], err = freeAddress(ctx, c.taken); err != nil {
			return service{}, err
		}
	}
	path := filepath.Join(c.config.Bin, program)
	if _, err := os.Stat(path); err != nil {
		return service{}, fmt.Errorf("the program of %s is missing (make build makes it): %w", name, err)
	}
	child := &Child{
		Name: name, Address: addresses[0], Admin: addresses[2], Path: path, LogFile: c.logFile(name), Notify: c.notify,
		Stop: syscall.SIGTERM, Grace: 20 * time.Second, Probe: ready(addresses[2]),
		// The last of a name counts: the operator's PARLEY_… come first, then what is ours to say.
		Env: slices.Concat(quickDrain(), c.config.Env, []string{
			"PARLEY_LISTEN=" + addresses[0], "PARLEY_INTERNAL_LISTEN=" + addresses[1], "PARLEY_ADMIN_LISTEN=" + addresses[2],
			"PARLEY_SERVICE_CREDENTIAL_FILE=" + c.secret, "PARLEY_TRUSTED_PROXIES=127.0.0.1/32",
		}, env),
	}
	return service{Child: child, internal: addresses[1]}, nil
}

// quickDrain are defaults of the edges for one machine, where nobody needs seconds to notice that an
// edge is going, and Ctrl-C shall not take longer than people wait.
func quickDrain() []string {
	return []string{"PARLEY_DRAIN_DELAY=100ms", "PARLEY_DRAIN_SPREAD=1s", "PARLEY_DRAIN_GRACE=5s"}
}

func (c *Cluster) logFile(name string) string { return c.dir.Path("log", name+".log") }

// ready is a Probe: the admin listener on address says so.
func ready(address string) func(context.Context) error {
	return func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
		defer cancel()
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/readyz", http.NoBody)
		if err != nil {
			return err
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return err
		}
		defer func() { _ = response.Body.Close() }()
		if response.StatusCode != http.StatusOK {
			return fmt.Errorf("/readyz answers %s", response.Status)
		}
		return nil
	}
}
