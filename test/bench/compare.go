//go:build linux

package bench

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// Compare writes how each figure of b stands to the same of a. The spread is how far a's and b's own
// runs lie apart: a change within it says nothing.
func Compare(w io.Writer, a, b *Report) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintf(table, "A: commit %s, %s, %d run(s)\nB: commit %s, %s, %d run(s)\n", a.Commit, a.At.Format(time.DateTime), a.Runs, b.Commit, b.At.Format(time.DateTime), b.Runs)
	_, _ = fmt.Fprintln(table, "SCENARIO\tFIGURE\tB ÷ A\tSPREAD\tA\tB\tUNIT\tTARGET\tA\tB")
	for _, now := range b.sorted() {
		i := slices.IndexFunc(a.Figures, func(f *Figure) bool { return f.Scenario == now.Scenario && f.Name == now.Name })
		if i < 0 {
			continue
		}
		before := a.Figures[i]
		change := "-"
		if m := before.Median(); m != 0 {
			change = digits(now.Median() / m)
		}
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t±%.0f%%\t%s\t%s\t%s\t%s\t%s\t%s\n", now.Scenario, now.Name, change, 100*max(before.spread(), now.spread()),
			digits(before.Median()), digits(now.Median()), now.Unit, now.goal(), before.verdict(), now.verdict())
	}
	if err := table.Flush(); err != nil {
		return fmt.Errorf("print the comparison: %w", err)
	}
	return nil
}

// spread is half the distance of the extremes, as a share of the median.
func (f *Figure) spread() float64 {
	if f.Median() == 0 {
		return 0
	}
	return (slices.Max(f.Values) - slices.Min(f.Values)) / 2 / f.Median()
}

// Markdown writes the table of docs/performance.md: what has a target, then the rest.
func (r *Report) Markdown(w io.Writer) error {
	b := &strings.Builder{}
	fmt.Fprintf(b, "Measured on %s, on %s, commit %s, medians of %d run(s).\n\n", r.At.Format(time.DateOnly), r.Machine, r.Commit, r.Runs)
	fmt.Fprintln(b, "| scenario | figure | median | target | |\n| --- | --- | ---: | ---: | --- |")
	for _, f := range r.sorted() {
		fmt.Fprintf(b, "| %s | %s | %s %s | %s | %s |\n", f.Scenario, f.Name, digits(f.Median()), f.Unit, f.goal(), f.verdict())
	}
	for _, flaw := range r.Flaws {
		fmt.Fprintf(b, "\nNot as planned: %s\n", flaw)
	}
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("print the table: %w", err)
	}
	return nil
}
