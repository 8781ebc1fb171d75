package docs_test

import (
	"bytes"
	"cmp"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"

	"github.com/parley-chat/parley/test/servertest"
)

const (
	observabilityFile = "../../docs/observability.md"
	tablesBegin       = "<!-- metrics: written by make docs -->\n"
	tablesEnd         = "<!-- end of metrics -->\n"
)

// TestMetricsAreDocumented holds docs/observability.md against what a server that runs tells: every metric is
// there, and each that is documented exists.
func TestMetricsAreDocumented(t *testing.T) {
	t.Parallel()
	s := servertest.Serve(t, t.TempDir())
	if got := s.Call(t, http.MethodGet, "/api/rooms", "", ""); got.Status != http.StatusOK {
		t.Fatal(got)
	}
	families, err := s.Metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(observabilityFile)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, begins := bytes.Cut(page, []byte(tablesBegin))
	got, after, ends := bytes.Cut(rest, []byte(tablesEnd))
	if !begins || !ends {
		t.Fatalf("%s has no place for the metrics", observabilityFile)
	}
	want := metricTables(families)
	if *update {
		whole := slices.Concat(before, []byte(tablesBegin), want, []byte(tablesEnd), after)
		if err := os.WriteFile(observabilityFile, whole, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if !bytes.Equal(got, want) {
		t.Errorf("docs/observability.md is stale: make docs")
	}
	for name := range strings.FieldsSeq(string(slices.Concat(before, after))) { // what the text around the tables speaks of
		name = strings.Trim(name, "`.,:;()|")
		if strings.HasPrefix(name, "parley_") && !bytes.Contains(want, []byte("`"+name+"`")) {
			t.Errorf("docs/observability.md speaks of %s, which there is not", name)
		}
	}
}

// metricGroups are the tables, by how the names in them begin.
func metricGroups() []struct{ title, prefix string } {
	return []struct{ title, prefix string }{
		{"auth", "parley_auth_"}, {"rooms", "parley_rooms_"}, {"edge", "parley_edge_"}, {"auth, rooms and edge: Redis", "parley_redis_"}, {"all", "parley_"},
	}
}

// requests stands for the metric that each listener has under a name of its own.
const requests = "parley_<listener>_http_request_seconds"

func metricTables(families []*dto.MetricFamily) []byte {
	groups := metricGroups()
	rows := make([][]string, len(groups))
	seen := map[string]bool{}
	for _, family := range families {
		name := family.GetName()
		if strings.HasSuffix(name, "_http_request_seconds") {
			name = requests
		}
		group := slices.IndexFunc(groups, func(g struct{ title, prefix string }) bool { return strings.HasPrefix(name, g.prefix) })
		if group < 0 || seen[name] { // those of Go and of the process are known by others' documents
			continue
		}
		seen[name] = true
		rows[group] = append(rows[group], fmt.Sprintf("| `%s` | %s | %s | %s |\n", name, strings.ToLower(family.GetType().String()), labelsOf(family), family.GetHelp()))
	}
	var out bytes.Buffer
	for i, group := range groups {
		fmt.Fprintf(&out, "### %s\n\n| metric | type | labels | what it is |\n| --- | --- | --- | --- |\n%s\n", group.title, strings.Join(rows[i], ""))
	}
	return out.Bytes()
}

// labelsOf names a family's labels, with the values that are there from the start.
func labelsOf(family *dto.MetricFamily) string {
	values := map[string][]string{}
	var names []string
	for _, metric := range family.GetMetric() {
		for _, label := range metric.GetLabel() {
			name := label.GetName()
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
			if !slices.Contains(values[name], label.GetValue()) {
				values[name] = append(values[name], label.GetValue())
			}
		}
	}
	slices.SortFunc(names, cmp.Compare[string])
	for i, name := range names {
		names[i] = "`" + name + "`"
		if all := values[name]; len(all) > 1 && !strings.HasSuffix(family.GetName(), "_http_request_seconds") {
			names[i] += ": " + strings.Join(all, ", ")
		}
	}
	return strings.Join(names, "; ")
}
