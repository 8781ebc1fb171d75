package main

import "strings"

// Dashboard describes one dashboard.
type Dashboard struct {
	name  string // of the file, and the end of the uid
	title string
	about string
	rows  []row
}

type row struct {
	title  string
	panels []panel
}

// panel describes one panel. Good says what it shows when all is well, for an engineer on call who does not remember.
type panel struct {
	kind    string // of Grafana: timeseries, stat, heatmap, table
	title   string
	good    string
	unit    string
	width   int // of 24
	height  int
	stacked bool
	steps   []step // colours by value, of a stat
	columns []string
	queries []query
}

type step struct {
	from  float64
	color string
}

// query is PromQL with two abbreviations: @ selects the chosen namespace and release, and [auto] is the range that
// Grafana chooses.
type query struct {
	expr   string
	legend string
}

func (q query) text() string {
	return strings.NewReplacer("@", `namespace=~"$namespace", release=~"$release"`, "[auto]", "[$__rate_interval]").Replace(q.expr)
}

// Units, with Grafana's names.
const (
	count   = "short"
	perS    = "ops"
	seconds = "s"
	size    = "bytes"
	share   = "percentunit"
)

const (
	third   = 8
	quarter = 6
	half    = 12
	whole   = 24
)

func q(expr, legend string) query { return query{expr, legend} }

// graph is a time series. A row has three.
func graph(title, good, unit string, queries ...query) panel {
	return panel{kind: "timeseries", title: title, good: good, unit: unit, width: third, height: 8, queries: queries}
}

// stat is one number. Each step sets the colour from a value on.
func stat(title, good, unit string, steps []step, queries ...query) panel {
	return panel{kind: "stat", title: title, good: good, unit: unit, width: quarter, height: 4, steps: steps, queries: queries}
}

// table shows the labels of the current series.
func table(title, good string, columns []string, queries ...query) panel {
	return panel{kind: "table", title: title, good: good, unit: count, width: whole, height: 7, columns: columns, queries: queries}
}

// heatmap shows the distribution of a histogram over time.
func heatmap(title, good, histogram string) panel {
	return panel{
		kind: "heatmap", title: title, good: good, unit: seconds, width: half, height: 8,
		queries: []query{q("sum by (le) (rate("+histogram+"_bucket{@}[auto]))", "{{le}}")},
	}
}

func (p panel) wide(of24 int) panel { p.width = of24; return p }

// stack stacks the series, because their sum is meaningful.
func (p panel) stack() panel { p.stacked = true; return p }

// times queries the median and the 99th percentile of a histogram.
func times(histogram string) []query {
	return []query{quantile("0.5", histogram), quantile("0.99", histogram)}
}

func quantile(share, histogram string) query {
	name := map[string]string{"0.5": "median", "0.99": "p99"}[share]
	return q("histogram_quantile("+share+", sum by (le) (rate("+histogram+"_bucket{@}[auto])))", name)
}

// orZero queries the rate of part of a counter, or 0 if that part does not exist yet but the counter does.
func orZero(part, counter, legend string) query {
	return q("(sum(rate("+part+"[auto])) or 0 * sum(rate("+counter+"[auto])))", legend)
}

// p99By queries the 99th percentile of a histogram, by a label.
func p99By(histogram, by string) query {
	return q("histogram_quantile(0.99, sum by ("+by+", le) (rate("+histogram+"_bucket{@}[auto])))", "{{"+by+"}}")
}

// Colours by value.
func redAboveZero() []step { return []step{{0, "green"}, {1, "red"}} }
func plain() []step        { return []step{{0, "text"}} }
