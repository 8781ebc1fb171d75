package check

import (
	"maps"
	"os"
	"regexp"
	"strings"
	"testing"
)

const (
	root       = "../../.."
	chart      = root + "/charts/parley"
	rulesIn    = chart + "/files/rules"
	casesIn    = chart + "/tests/rules"
	boardsIn   = chart + "/files/dashboards"
	runbooksIn = root + "/docs/runbooks"
	runbookURL = "https://github.com/parley-chat/parley/blob/main/docs/runbooks/"
)

// catalogue is what exists, the recording rules' results among it.
func catalogue(t *testing.T) Catalogue {
	t.Helper()
	c, err := Read(root + "/docs/observability.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, rule := range rules(t) {
		if rule.Record == "" {
			continue
		}
		e, err := Parse(rule.Expr)
		if err != nil {
			t.Errorf("%s: %s: %v", rule.File, rule.Record, err)
			continue
		}
		labels, err := c.Labels(e) // rules stand below what they use
		if err != nil {
			t.Errorf("%s: %s: %v", rule.File, rule.Record, err)
			continue
		}
		for name := range rule.Labels {
			labels = labels.and(setOf(name))
		}
		if before, ok := c.labels[rule.Record]; ok && !maps.Equal(before, labels) {
			t.Errorf("%s: %s has other labels here (%s) than before (%s)", rule.File, rule.Record, labels, before)
		}
		c.labels[rule.Record] = labels
	}
	return c
}

func rules(t *testing.T) []Rule {
	t.Helper()
	all, err := Rules(rulesIn)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

var named = regexp.MustCompile(`\$labels\.([a-z_]+)`)

func TestAlertsAskForWhatExists(t *testing.T) {
	c := catalogue(t)
	for _, rule := range rules(t) {
		if rule.Alert == "" {
			continue
		}
		e, err := Parse(rule.Expr)
		if err != nil {
			t.Errorf("%s: %v", rule.Alert, err)
			continue
		}
		labels, err := c.Labels(e)
		if err != nil {
			t.Errorf("%s: %v", rule.Alert, err)
			continue
		}
		for _, text := range rule.Annotations {
			for _, label := range named.FindAllStringSubmatch(text, -1) {
				if !labels[label[1]] {
					t.Errorf("%s tells its label %q, but has only %s", rule.Alert, label[1], labels)
				}
			}
		}
	}
}

func TestEachAlertSaysWhatToDo(t *testing.T) {
	for _, rule := range rules(t) {
		if rule.Alert == "" {
			continue
		}
		if s := rule.Labels["severity"]; s != "page" && s != "ticket" {
			t.Errorf("%s: severity %q is neither page nor ticket", rule.Alert, s)
		}
		if rule.Annotations["summary"] == "" || !strings.Contains(rule.Annotations["description"], "{{") {
			t.Errorf("%s wants a summary, and a description with figures", rule.Alert)
		}
		page, anchor, _ := strings.Cut(strings.TrimPrefix(rule.Annotations["runbook_url"], runbookURL), "#")
		content, err := os.ReadFile(runbooksIn + "/" + page)
		if err != nil {
			t.Errorf("%s: its runbook: %v", rule.Alert, err)
			continue
		}
		if anchor != strings.ToLower(rule.Alert) || !strings.Contains(string(content), "\n## "+rule.Alert+"\n") {
			t.Errorf("%s: docs/runbooks/%s has no heading “## %s”", rule.Alert, page, rule.Alert)
		}
	}
}

// A runbook of an alert that is gone misleads.
func TestEachRunbookHasItsAlert(t *testing.T) {
	alerts := Set{}
	for _, rule := range rules(t) {
		alerts[rule.Alert] = true
	}
	err := each(runbooksIn, "*.md", func(file string, content []byte) error {
		for _, heading := range regexp.MustCompile(`(?m)^## (Parley\w+)$`).FindAllStringSubmatch(string(content), -1) {
			if !alerts[heading[1]] {
				t.Errorf("docs/runbooks/%s: there is no alert %s", file, heading[1])
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestEachAlertIsTestedFiringAndNot(t *testing.T) {
	cases, err := Cases(casesIn)
	if err != nil {
		t.Fatal(err)
	}
	tested := map[Case]bool{}
	for _, one := range cases {
		tested[one] = true
	}
	alerts := Set{}
	for _, rule := range rules(t) {
		if rule.Alert != "" {
			alerts[rule.Alert] = true
		}
	}
	for alert := range alerts {
		for _, fires := range []bool{true, false} {
			if !tested[Case{alert, fires}] {
				t.Errorf("%s has no case in charts/parley/tests/rules where fires is %v", alert, fires)
			}
		}
	}
	for one := range tested {
		if !alerts[one.Alert] {
			t.Errorf("charts/parley/tests/rules tests %s, which is no alert", one.Alert)
		}
	}
}

var (
	chosen = strings.NewReplacer("$__rate_interval", "5m")
	legend = regexp.MustCompile(`{{ *(\w+) *}}`)
)

func TestDashboardsAskForWhatExists(t *testing.T) {
	c := catalogue(t)
	boards, err := Dashboards(boardsIn)
	if err != nil {
		t.Fatal(err)
	}
	for _, board := range boards {
		for _, panel := range board.Panels {
			for _, target := range panel.Targets {
				e, err := Parse(chosen.Replace(target.Expr))
				if err != nil {
					t.Errorf("%s: %s: %v", board.File, panel.Title, err)
					continue
				}
				labels, err := c.Labels(e)
				if err != nil {
					t.Errorf("%s: %s: %v", board.File, panel.Title, err)
					continue
				}
				for _, found := range legend.FindAllStringSubmatch(target.LegendFormat, -1) {
					if !labels[found[1]] {
						t.Errorf("%s: %s: the legend tells %q of %s, which has only %s", board.File, panel.Title, found[1], target.Expr, labels)
					}
				}
				if len(panel.Targets) > 1 && target.LegendFormat == "" {
					t.Errorf("%s: %s: a line without a legend", board.File, panel.Title)
				}
			}
		}
	}
}

func TestDashboardsCanBeRead(t *testing.T) {
	boards, err := Dashboards(boardsIn)
	if err != nil {
		t.Fatal(err)
	}
	if len(boards) != 6 {
		t.Errorf("there are %d dashboards, want 6", len(boards))
	}
	uids := map[string]string{}
	for _, board := range boards {
		if other := uids[board.UID]; board.UID == "" || other != "" {
			t.Errorf("%s: its uid %q is none or that of %s", board.File, board.UID, other)
		}
		uids[board.UID] = board.File
		if board.Title == "" || len(board.Tags) != 1 || board.Tags[0] != "parley" {
			t.Errorf("%s wants a title and the tag parley", board.File)
		}
		taken := map[[2]int]string{}
		titles := Set{}
		for _, panel := range board.Panels {
			for x := panel.GridPos.X; x < panel.GridPos.X+panel.GridPos.W; x++ {
				for y := panel.GridPos.Y; y < panel.GridPos.Y+panel.GridPos.H; y++ {
					if other := taken[[2]int{x, y}]; other != "" || x >= 24 {
						t.Fatalf("%s: %q lies on %q, or beyond the edge", board.File, panel.Title, other)
					}
					taken[[2]int{x, y}] = panel.Title
				}
			}
			if panel.Type == "row" {
				continue
			}
			if panel.Title == "" || titles[panel.Title] {
				t.Errorf("%s: two panels are called %q", board.File, panel.Title)
			}
			titles[panel.Title] = true
			if panel.Description == "" || panel.FieldConfig.Defaults.Unit == "" || len(panel.Targets) == 0 {
				t.Errorf("%s: %s wants a unit, a query, and a description of what good looks like", board.File, panel.Title)
			}
		}
	}
}

// What this check must find.
func TestTheCheckFinds(t *testing.T) {
	c := catalogue(t)
	for query, wrong := range map[string]string{
		`parley_edge_conections`:                                                      "no metric",
		`parley_edge_delivery_seconds`:                                                "no metric", // a histogram has no series of its name
		`parley_edge_closed_total{reason="x"}`:                                        "no label",
		`parley_edge_closed_total{code="4410"}`:                                       "has such a value",
		`sum by (reason) (rate(parley_edge_closed_total[5m]))`:                        "to aggregate by",
		`histogram_quantile(0.9, sum(rate(parley_edge_delivery_seconds_bucket[5m])))`: "le",
		`parley_edge_held and on (slo) parley_redis_up`:                               "only one side",
		`sum by (pod) (parley_edge_held) / sum(parley_edge_held)`:                     "never match",
	} {
		e, err := Parse(query)
		if err != nil {
			t.Errorf("%s: %v", query, err)
			continue
		}
		if _, err = c.Labels(e); err == nil || !strings.Contains(err.Error(), wrong) {
			t.Errorf("%s: %v, want something with %q", query, err, wrong)
		}
	}
}
