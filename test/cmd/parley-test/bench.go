//go:build linux

package main

import (
	"github.com/parley-chat/parley/test/bench"
	"github.com/parley-chat/parley/test/bench/floor"
)

type benchCommands struct {
	Run      benchCommand    `cmd:"" default:"withargs" help:"Measure and print one table."`
	Compare  compareCommand  `cmd:"" help:"What changed from one report to another."`
	Markdown markdownCommand `cmd:"" help:"The table for docs/performance.md."`
	Floor    floorCommand    `cmd:"" help:"Serve the floor, or the floor that keeps what it acks."`
}

type benchCommand struct {
	Scenario []string `help:"Only these; without any, all."`
	Runs     int      `default:"3" help:"How often each is measured."`
	JSON     string   `name:"json" help:"A file that takes the report."`
}

// Run implements kong's command.
func (c benchCommand) Run(p *program) error {
	return bench.Run(p, bench.Options{Scenarios: c.Scenario, Runs: max(1, c.Runs), JSON: c.JSON, Program: p.path, Out: p.out, ErrOut: p.errOut})
}

type compareCommand struct {
	A, B string `arg:"" help:"A report."`
}

// Run implements kong's command.
func (c compareCommand) Run(p *program) error {
	a, err := bench.Load(c.A)
	if err != nil {
		return err
	}
	b, err := bench.Load(c.B)
	if err != nil {
		return err
	}
	return bench.Compare(p.out, a, b)
}

type markdownCommand struct {
	Report string `arg:"" help:"A report."`
}

// Run implements kong's command.
func (c markdownCommand) Run(p *program) error {
	report, err := bench.Load(c.Report)
	if err != nil {
		return err
	}
	return report.Markdown(p.out)
}

type floorCommand struct {
	Address  string `arg:"" help:"Where it listens, as host:port."`
	Postgres string `arg:"" optional:"" help:"postgres://… that keeps what it acks."`
	Redis    string `arg:"" optional:"" help:"redis://… that it goes through."`
}

// Run implements kong's command.
func (c floorCommand) Run(p *program) error {
	if c.Postgres == "" {
		return floor.Serve(p, c.Address, nil)
	}
	return floor.Serve(p, c.Address, &floor.Stores{Postgres: c.Postgres, Redis: c.Redis})
}
