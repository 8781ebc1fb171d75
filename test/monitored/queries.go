//go:build linux

package monitored

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// elsewhere are metrics of what a laptop does not have: Kubernetes, cert-manager, the blackbox exporter.
var elsewhere = regexp.MustCompile(`\b(kube|container|certmanager|probe)_`)

// quiet begins the one query that rightly gives nothing while all is well.
const quiet = "ALERTS{"

// chosen puts into a query what Grafana would.
func chosen(query string) string {
	return strings.NewReplacer("$namespace", ".*", "$release", ".*", "$__rate_interval", "5m").Replace(query)
}

// ask asks all queries of the dashboards, and whether there is each metric that a rule names.
func (p *prometheus) ask(ctx context.Context, dashboards string, report *Report) error {
	files, err := filepath.Glob(filepath.Join(dashboards, "*.json"))
	if err != nil || len(files) == 0 {
		return errors.Join(err, fmt.Errorf("%s holds no dashboards", dashboards)) //nolint:err113 // told as it is
	}
	for _, file := range files {
		if err := p.askDashboard(ctx, file, report); err != nil {
			return err
		}
	}
	return p.askRules(ctx, report)
}

func (p *prometheus) askDashboard(ctx context.Context, file string, report *Report) error {
	content, err := os.ReadFile(file) //nolint:gosec // the chart's
	if err != nil {
		return fmt.Errorf("dashboard: %w", err)
	}
	var board struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(content, &board); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	for _, panel := range board.Panels {
		for _, target := range panel.Targets {
			what := fmt.Sprintf("%s: %s: %s", filepath.Base(file), panel.Title, target.Expr)
			p.askOne(ctx, shorten(chosen(target.Expr)), what, report)
		}
	}
	return nil
}

func (p *prometheus) askOne(ctx context.Context, query, what string, report *Report) {
	if elsewhere.MatchString(query) {
		return
	}
	report.Queries++
	series, err := p.query(ctx, query)
	switch {
	case err != nil:
		report.Broken = append(report.Broken, what+": "+err.Error())
	case series == 0 && !strings.HasPrefix(query, quiet):
		report.Empty = append(report.Empty, what)
	}
}

// metric is a name in a rule's query: ours, the process's, or recorded.
var metric = regexp.MustCompile(`\b(parley[_:][a-z0-9_:]+|process_[a-z_]+|up\b)`)

// askRules looks at what alerts are made of, since they themselves give nothing while all is well.
func (p *prometheus) askRules(ctx context.Context, report *Report) error {
	rules, err := p.rules(ctx)
	if err != nil {
		return err
	}
	names := map[string]string{}
	for _, r := range rules {
		if r.Health != "ok" {
			report.Broken = append(report.Broken, fmt.Sprintf("rule %s: %s %s", r.Name, r.Health, r.LastError))
		}
		for _, name := range metric.FindAllString(r.Query, -1) {
			names[name] = r.Name
		}
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		p.askOne(ctx, "count("+name+")", "rule "+names[name]+": "+name, report)
	}
	return nil
}
