//go:build linux

// Command monitored shows that alerts and dashboards work on a Parley that runs.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/parley-chat/parley/services/standalone/internal/monitored"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	status := run(ctx)
	stop()
	os.Exit(status)
}

func run(ctx context.Context) int {
	program, err := os.Executable()
	o := monitored.Options{Bin: filepath.Dir(program), Out: os.Stdout}
	flag.StringVar(&o.Prometheus, "prometheus", "prometheus", "the program")
	flag.StringVar(&o.Chart, "chart", "charts/parley", "the folder whose files/rules and files/dashboards are tried")
	flag.IntVar(&o.Seats, "seats", 60, "clients that are there at a time")
	flag.DurationVar(&o.Warm, "warm", 90*time.Second, "how long they come and go before anything is asked")
	flag.StringVar(&o.Fault, "fault", "", `only the faults whose names hold this, such as "Redis"; "none" harms nothing`)
	flag.Parse()
	var report *monitored.Report
	if err == nil {
		o.Folder, err = os.MkdirTemp("", "parley-monitored-")
	}
	if err == nil {
		report, err = monitored.Run(ctx, o)
	}
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, err)
		_, _ = fmt.Fprintln(os.Stderr, "data and logs of the run stay in", o.Folder)
		return 2
	}
	report.Write(os.Stdout)
	_ = os.RemoveAll(o.Folder)
	if !report.OK() {
		return 1
	}
	return 0
}
