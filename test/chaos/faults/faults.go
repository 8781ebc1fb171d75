// Package faults is the instrument that shows that nothing acked is ever lost: clients talk over several
// edges and rooms pods while a seeded driver kills, stops, drains, cuts, slows, empties and restores
// whatever there is; afterwards the invariants of package talk are checked on all that they saw.
package faults

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/client"
	"github.com/parley-chat/parley/pkg/datadir"
	"github.com/parley-chat/parley/test/chaos/history"
	"github.com/parley-chat/parley/test/chaos/workload"
	"github.com/parley-chat/parley/test/harness"
	"github.com/parley-chat/parley/test/localcluster"
)

// Options say how much is to happen.
type Options struct {
	Seed uint64
	// Messages and Faults are what there must have been at least.
	Messages int64
	Faults   int
	// Scale multiplies how long faults last; 1 is up to 30 s.
	Scale   float64
	Clients int
	Rooms   int
	Rate    float64 // of all clients, a second
	// Patience is how long one answer may take, whatever happens.
	Patience time.Duration

	Bin    string    // the folder of the services' programs
	Folder string    // takes data and logs; made where it is missing
	Out    io.Writer // takes lines that tell how it goes
	Log    *slog.Logger
}

// roomsEach is how many rooms a client is in.
const roomsEach = 2

// environ is what the services are told: no limits on what one address may do, tokens that are renewed
// many times, and hashes that cost as little as they may.
func environ() []string {
	return append(localcluster.WithoutLimits(),
		"PARLEY_LOG_LEVEL=warn",
		"PARLEY_TOKEN_LIFETIME=2m", "PARLEY_HASH_ITERATIONS=1", "PARLEY_HASH_WAIT=10s")
}

// Run does it all and reports. The error says that there is nothing to report.
func Run(ctx context.Context, o Options) (report *Report, err error) {
	progress := harness.NewProgress(o.Out)
	died := func(string) {} // that processes die is what this is about
	running, c, err := harness.Start(ctx, o.Folder, localcluster.Config{Bin: o.Bin, Throwaway: true, Relayed: true, Env: environ()}, o.Log, died)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, c.Stop()) }()
	progress.Say("the cluster runs: 3 edges, 2 rooms pods, auth, PostgreSQL, 2 Redis, relays between them; seed %d", o.Seed)
	d := &driver{
		cluster: c, options: o, progress: progress, random: rand.New(rand.NewPCG(o.Seed, 0)), //nolint:gosec // to be repeated by its seed
		primary: c.Redis, standby: c.Standby, meter: newMeter(), folder: c.Folder,
	}
	return d.run(running)
}

// driver drives the faults.
type driver struct {
	cluster  *harness.Cluster
	options  Options
	progress *harness.Progress
	random   *rand.Rand
	folder   *datadir.Dir
	workload *workload.Workload
	probes   []*probe
	meter    *meter
	rooms    []chat.Slug
	epochs   []history.Epoch
	// The Redis in use and the other.
	primary, standby localcluster.Redis
	lost             int // entries that restores took back
}

func (d *driver) run(ctx context.Context) (*Report, error) {
	o := d.options
	people := &people{base: d.cluster.URL, api: client.NewHTTP(d.cluster.URL, &http.Client{Timeout: 20 * time.Second}), accounts: true}
	admin, err := people.admin(ctx, harness.AdminName, harness.AdminPassword)
	if err != nil {
		return nil, err
	}
	const edges = 3
	if d.rooms, err = people.makeRooms(ctx, admin, o.Seed, o.Rooms+edges); err != nil {
		return nil, err
	}
	d.epochs = []history.Epoch{{}}
	began := time.Now()
	if d.workload, err = workload.Start(ctx, workload.Options{
		Base: d.cluster.URL, Rooms: d.rooms[:o.Rooms], RoomsEach: roomsEach, Clients: o.Clients, Rate: o.Rate, Patience: o.Patience,
		Random: rand.New(rand.NewPCG(o.Seed, 1)), SignIn: people.signIn, //nolint:gosec // the same
	}); err != nil {
		return nil, err
	}
	defer d.workload.End()
	stopProbes, err := d.startProbes(ctx, people)
	if err != nil {
		return nil, err
	}
	defer stopProbes()
	d.progress.Say("%d clients talk in %d rooms; 3 probes send every %s", o.Clients, o.Rooms, probeEvery)
	if err := d.drive(ctx, began); err != nil {
		return nil, err
	}
	return d.check(ctx, people, began, stopProbes)
}

// drive does one fault after the other until there were enough, of every kind the same number.
func (d *driver) drive(ctx context.Context, began time.Time) error {
	kinds := d.kinds()
	if err := harness.Pause(ctx, d.pauseBetween()); err != nil {
		return err
	}
	for done := 0; ; done++ {
		if done >= d.options.Faults && d.workload.Progress().Acked >= d.options.Messages {
			return nil
		}
		turn := done % len(kinds)
		if turn == 0 {
			d.random.Shuffle(len(kinds), func(i, j int) { kinds[i], kinds[j] = kinds[j], kinds[i] })
		}
		if err := d.one(ctx, kinds[turn], done+1, began); err != nil {
			return err
		}
	}
}

// pauseBetween is how long to wait between faults.
func (d *driver) pauseBetween() time.Duration {
	return 200*time.Millisecond + time.Duration(d.random.Int64N(int64(200*time.Millisecond+d.scaled(600*time.Millisecond))))
}

// one does a fault and waits until there is service again everywhere.
func (d *driver) one(ctx context.Context, k kind, number int, began time.Time) error {
	limit, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	d.meter.begin(k.name)
	if err := k.do(limit); err != nil {
		return fmt.Errorf("fault %d, %s: %w", number, k.name, err)
	}
	if err := d.recovered(limit); err != nil {
		return err
	}
	gap := d.meter.end()
	acked := d.workload.Progress().Acked
	d.progress.Say("fault %d: %-45s acks %6s, deliveries %6s; %d acked, %.0f/s", number, k.name, millis(gap.Ack), millis(gap.Delivery), acked, float64(acked)/time.Since(began).Seconds())
	for _, p := range d.probes {
		p.returnToOwnEdge()
	}
	if err := d.recovered(limit); err != nil {
		return err
	}
	d.meter.settle()
	return harness.Pause(ctx, d.pauseBetween())
}

// recovered waits until every process runs and every probe has service. It does not wait for ever: what
// does not come back is for the invariants.
func (d *driver) recovered(ctx context.Context) error {
	over := time.Now()
	for time.Since(over) < d.options.Patience {
		well := true
		for _, child := range d.cluster.Children() {
			well = well && child.PID() != 0
		}
		if well && d.meter.servedSince(over, len(d.probes)) {
			return nil
		}
		if err := harness.Pause(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
	d.progress.Say("no service everywhere %s after the fault", d.options.Patience)
	return ctx.Err()
}

// check ends the workload and checks the invariants.
func (d *driver) check(ctx context.Context, people *people, began time.Time, stopProbes func()) (*Report, error) {
	over := time.Now()
	d.workload.Quiet()
	stopProbes()
	answered := time.Since(over)
	deadline := over.Add(answered + d.options.Patience)
	for {
		heads, err := d.heads(ctx)
		if err != nil {
			return nil, err
		}
		if d.workload.Behind(heads) == 0 || time.Now().After(deadline) {
			break
		}
		if err := harness.Pause(ctx, 250*time.Millisecond); err != nil {
			return nil, err
		}
	}
	settled := time.Since(over)
	d.progress.Say("every command had its answer within %s of the end, everyone the end of its rooms within %s; loading all of it afresh", millis(answered), millis(settled))
	logs, err := d.logs(ctx)
	if err != nil {
		return nil, err
	}
	d.epochs[len(d.epochs)-1].Logs = logs
	reader, err := people.reader(ctx)
	if err != nil {
		return nil, err
	}
	recorded, err := gather(ctx, d.workload, reader, d.epochs, d.rooms[:d.options.Rooms])
	if err != nil {
		return nil, err
	}
	report := conclude(d.options, recorded, d.workload.Progress(), d.meter, time.Since(began))
	report.Restored = d.lost
	return report, nil
}

// gather ends the talk and collects all that the invariants are about. Rooms are loaded first, while
// clients may still be there.
func gather(ctx context.Context, w *workload.Workload, loader *workload.Loader, epochs []history.Epoch, rooms []chat.Slug) (*history.History, error) {
	recorded := &history.History{Epochs: epochs, Fresh: map[chat.Slug][]chat.Message{}}
	for _, room := range rooms {
		messages, err := loader.Messages(ctx, room)
		if err != nil {
			return nil, err
		}
		recorded.Fresh[room] = messages
	}
	w.End()
	recorded.Operations, recorded.Observations, recorded.Problems = w.Notes()
	return recorded, nil
}

func millis(d time.Duration) string { return fmt.Sprintf("%.2fs", d.Seconds()) }
