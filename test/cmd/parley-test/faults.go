package main

import (
	"cmp"
	"log/slog"
	"math/rand/v2"
	"os"
	"time"

	"github.com/parley-chat/parley/pkg/env"
	"github.com/parley-chat/parley/test/chaos/faults"
	"github.com/parley-chat/parley/test/harness"
)

type faultsCommand struct {
	Seed     uint64        `help:"Repeats the faults of a run; 0 takes one at random."`
	Messages int64         `default:"100000" help:"Acked messages that there must be at least."`
	Faults   int           `default:"102" help:"Faults that there must be at least; of every kind the same number."`
	Scale    float64       `default:"1" help:"Multiplies how long faults last."`
	Clients  int           `help:"Who talk; 0: 120, and 60 with --url."`
	Rooms    int           `help:"That they talk in; 0: 12, and 6 with --url."`
	Rate     float64       `help:"Messages, edits and deletes a second, of all clients together; 0: 300, and 30 with --url."`
	Patience time.Duration `default:"90s" help:"How long one answer may take, whatever happens."`
	URL      string        `name:"url" help:"A Parley that runs already, such as https://chat.example.org: its rooms are made by PARLEY_ADMIN_USER, and only the clients' own sockets are cut."`
	JSON     string        `name:"json" help:"A file that takes the report as JSON."`
}

// Run implements kong's command.
func (c faultsCommand) Run(p *program) error {
	r := env.New(os.LookupEnv)
	at := faults.External{
		URL:       c.URL,
		AdminName: r.String("PARLEY_ADMIN_USER", "", "Who makes the rooms at the Parley that --url names."),
		Password:  r.Secret("PARLEY_ADMIN_PASSWORD", "The password of PARLEY_ADMIN_USER."),
	}
	if err := r.Err(); err != nil {
		return err
	}
	usual := faults.Options{Clients: 120, Rooms: 12, Rate: 300}
	if c.URL != "" { // within the limits that a Parley has by default
		usual = faults.Options{Clients: 60, Rooms: 6, Rate: 30}
	}
	o := faults.Options{
		Seed: cmp.Or(c.Seed, rand.Uint64()>>1), Messages: c.Messages, Faults: c.Faults, Scale: c.Scale, //nolint:gosec // any seed will do
		Clients: cmp.Or(c.Clients, usual.Clients), Rooms: cmp.Or(c.Rooms, usual.Rooms), Rate: cmp.Or(c.Rate, usual.Rate),
		Patience: c.Patience, Bin: p.bin(), Out: p.out, Log: slog.New(slog.DiscardHandler),
	}
	p.status = harness.Run(p.instrument("faults", c.JSON), func(folder string) (*faults.Report, error) {
		if c.URL != "" {
			return faults.RunExternal(p, o, at)
		}
		o.Folder = folder
		return faults.Run(p, o)
	})
	return nil
}
