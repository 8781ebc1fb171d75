// Package harness is what the instruments share that try a whole Parley: a cluster that is started for them, lines
// that tell how it goes, verdicts, the report, and what becomes of it all in the end.
package harness

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// Report is what came of a run.
type Report interface {
	// Write writes it for people.
	Write(w io.Writer)
	// Holds says whether all is as it must be.
	Holds() bool
}

// Instrument is a run of an instrument as a program.
type Instrument struct {
	Name string
	JSON string // a file that takes the report; "" is none
	// Out takes the report, ErrOut what went wrong.
	Out, ErrOut io.Writer
}

// Exit statuses of an instrument.
const (
	StatusHolds   = 0
	StatusFails   = 1 // what must hold does not
	StatusUnknown = 2 // nothing could be found out
)

// Run has an instrument run in a temporary folder, writes and saves its report, and returns the exit status. The
// folder stays if all is not as it must be.
func Run[R interface {
	comparable
	Report
}](i Instrument, try func(folder string) (R, error),
) int {
	folder, err := os.MkdirTemp("", "parley-"+i.Name+"-")
	if err != nil {
		_, _ = fmt.Fprintln(i.ErrOut, "temporary folder:", err)
		return StatusUnknown
	}
	var none R
	report, err := try(folder)
	if report != none {
		report.Write(i.Out)
		if i.JSON != "" {
			err = errors.Join(err, Save(i.JSON, report))
		}
	}
	if err == nil && report.Holds() {
		err = os.RemoveAll(folder)
	} else {
		_, _ = fmt.Fprintln(i.ErrOut, "data and logs of the run stay in", folder)
	}
	switch {
	case err != nil:
		_, _ = fmt.Fprintln(i.ErrOut, err)
		return StatusUnknown
	case !report.Holds():
		return StatusFails
	}
	return StatusHolds
}

// Save writes a report as JSON, for programs.
func Save(path string, report any) error {
	content, err := json.MarshalIndent(report, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the report: %w", err)
	}
	if err := os.WriteFile(path, append(content, '\n'), 0o600); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}

// Pause waits for d, or returns why ctx ended.
func Pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return context.Cause(ctx)
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
