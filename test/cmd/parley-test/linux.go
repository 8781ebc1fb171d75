//go:build linux

package main

import (
	"errors"
	"log/slog"
	"time"

	"github.com/parley-chat/parley/test/attacks"
	"github.com/parley-chat/parley/test/harness"
	"github.com/parley-chat/parley/test/monitored"
	"github.com/parley-chat/parley/test/soak"
)

// onLinux are the instruments that ask Linux what processes take.
type onLinux struct {
	Soak      soakCommand      `cmd:"" help:"People come and go for an hour: does anything grow that should not?"`
	Attacks   attacksCommand   `cmd:"" help:"Do what strangers do to end a service while people talk on it."`
	Bench     benchCommands    `cmd:"" help:"Measure on this machine, beside the floor."`
	Monitored monitoredCommand `cmd:"" help:"Ask all queries of a real Prometheus beside a cluster under load, then harm it until alerts fire."`
}

type soakCommand struct {
	Minutes float64       `default:"60" help:"How long the load lasts."`
	Clients int           `default:"40" help:"Clients that are there at a time, about."`
	Every   time.Duration `default:"10s" help:"Between samples."`
	Seed    uint64        `default:"1" help:"Of what the clients do."`
	JSON    string        `name:"json" help:"A file that takes verdicts and samples as JSON."`
}

// Run implements kong's command.
func (c soakCommand) Run(p *program) error {
	lasts := time.Duration(c.Minutes * float64(time.Minute))
	if c.Every <= 0 || lasts < 10*c.Every || c.Clients < 1 {
		return errors.New("soak needs a client at least, and time for ten samples")
	}
	o := soak.Options{Lasts: lasts, Seats: c.Clients, Every: c.Every, Seed: c.Seed, Bin: p.bin(), Out: p.out, Log: slog.New(slog.DiscardHandler)}
	p.status = harness.Run(p.instrument("soak", c.JSON), func(folder string) (*soak.Report, error) {
		o.Folder = folder
		return soak.Run(p, o)
	})
	return nil
}

type attacksCommand struct {
	Seconds float64       `default:"300" help:"How long the attacks last."`
	People  int           `default:"100" help:"Who talk meanwhile."`
	Before  time.Duration `default:"30s" help:"How long they talk undisturbed before."`
	JSON    string        `name:"json" help:"A file that takes the report as JSON."`
}

// Run implements kong's command.
func (c attacksCommand) Run(p *program) error {
	lasts := time.Duration(c.Seconds * float64(time.Second))
	if lasts <= 0 || c.Before <= 0 || c.People < 2 {
		return errors.New("attacks need time before and during them, and two people at least")
	}
	o := attacks.Options{People: c.People, Before: c.Before, Lasts: lasts, Bin: p.bin(), Out: p.out, Log: slog.New(slog.DiscardHandler)}
	p.status = harness.Run(p.instrument("attacks", c.JSON), func(folder string) (*attacks.Report, error) {
		o.Folder = folder
		return attacks.Run(p, o)
	})
	return nil
}

type monitoredCommand struct {
	Prometheus string        `default:"prometheus" help:"The program."`
	Chart      string        `default:"charts/parley" help:"The folder whose files/rules and files/dashboards are tried."`
	Seats      int           `default:"60" help:"Clients that are there at a time."`
	Warm       time.Duration `default:"90s" help:"How long they come and go before anything is asked."`
	Fault      string        `help:"Only the faults whose names hold this, such as Redis; none harms nothing."`
}

// Run implements kong's command.
func (c monitoredCommand) Run(p *program) error {
	if c.Seats < 1 || c.Warm < 0 {
		return errors.New("monitored needs a client at least")
	}
	o := monitored.Options{Bin: p.bin(), Prometheus: c.Prometheus, Chart: c.Chart, Seats: c.Seats, Warm: c.Warm, Fault: c.Fault, Out: p.out}
	p.status = harness.Run(p.instrument("monitored", ""), func(folder string) (*monitored.Report, error) {
		o.Folder = folder
		return monitored.Run(p, o)
	})
	return nil
}
