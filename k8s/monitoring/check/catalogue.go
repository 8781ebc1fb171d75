package check

import (
	"fmt"
	"maps"
	"os"
	"regexp"
	"strings"
)

// Catalogue has the existing series and their labels.
type Catalogue struct {
	labels map[string]Set
	values map[string]map[string][]string // by series and label, if the table lists them
}

// target has the labels that the scrape adds to each series: see prometheus.yml and the chart's PodMonitor.
var target = setOf("namespace", "release", "component", "pod", "job", "instance") //nolint:gochecknoglobals // a table

// external has the metrics of other programs that the queries may use.
var external = map[string]Set{ //nolint:gochecknoglobals // a table
	// From the scrape, Go's runtime and the process. Each target has them.
	"up": target, "ALERTS": target.and(setOf("alertname", "alertstate", "severity", "slo", "window")),
	"go_goroutines": target, "go_gc_duration_seconds": target.and(setOf("quantile")),
	"process_cpu_seconds_total": target, "process_resident_memory_bytes": target, "process_start_time_seconds": target,
	"process_open_fds": target, "process_max_fds": target,
	// From kube-state-metrics (only stable ones) and the kubelet.
	"kube_deployment_spec_replicas":                        setOf("namespace", "deployment"),
	"kube_deployment_status_replicas_available":            setOf("namespace", "deployment"),
	"kube_horizontalpodautoscaler_spec_max_replicas":       setOf("namespace", "horizontalpodautoscaler"),
	"kube_horizontalpodautoscaler_spec_min_replicas":       setOf("namespace", "horizontalpodautoscaler"),
	"kube_horizontalpodautoscaler_status_desired_replicas": setOf("namespace", "horizontalpodautoscaler"),
	"kube_cronjob_status_last_schedule_time":               setOf("namespace", "cronjob"),
	"kube_cronjob_status_last_successful_time":             setOf("namespace", "cronjob"),
	"kube_cronjob_spec_suspend":                            setOf("namespace", "cronjob"),
	"kube_pod_container_resource_limits":                   setOf("namespace", "pod", "container", "resource", "unit"),
	"container_memory_working_set_bytes":                   setOf("namespace", "pod", "container"),
	"certmanager_certificate_expiration_timestamp_seconds": setOf("namespace", "name"),
	"probe_ssl_earliest_cert_expiry":                       setOf("job", "instance"),
}

// metricRow is a row of the table of metrics, such as: | `name` | type | `label`: value, value; `label` | what it is |.
var (
	metricRow = regexp.MustCompile("^\\| `(parley_[a-z_<>]+)` \\| (counter|gauge|histogram) \\| ([^|]*) \\|")
	labelCell = regexp.MustCompile("`([a-z_]+)`(?:: ([^;`]+))?")
)

// listeners are the names of the listeners in a cluster. Each has its own metrics of requests.
var listeners = []string{"auth", "auth_internal", "rooms", "rooms_internal", "edge", "web"} //nolint:gochecknoglobals // a table

// Read makes the catalogue from docs/observability.md and the external metrics. Another test compares that document with
// the metrics that the services register.
func Read(observability string) (Catalogue, error) {
	c := Catalogue{labels: map[string]Set{}, values: map[string]map[string][]string{}}
	content, err := os.ReadFile(observability) //nolint:gosec // a file of this repository
	if err != nil {
		return c, fmt.Errorf("read the table of metrics: %w", err)
	}
	for line := range strings.Lines(string(content)) {
		row := metricRow.FindStringSubmatch(line)
		switch {
		case row == nil:
		case strings.Contains(row[1], "<listener>"):
			for _, name := range listeners {
				c.add(strings.Replace(row[1], "<listener>", name, 1), row[2], row[3])
			}
		default:
			c.add(row[1], row[2], row[3])
		}
	}
	if len(c.labels) == 0 {
		return c, fmt.Errorf("%s has no row that reads | `parley_…` | type | labels |", observability)
	}
	maps.Copy(c.labels, external)
	return c, nil
}

// add adds the metric of a row of the table; cell lists its labels.
func (c Catalogue) add(name, kind, cell string) {
	labels, values := target, map[string][]string{}
	for _, found := range labelCell.FindAllStringSubmatch(cell, -1) {
		labels = labels.and(setOf(found[1]))
		if found[2] != "" {
			values[found[1]] = strings.Split(strings.TrimSpace(found[2]), ", ")
		}
	}
	series := map[string]Set{name: labels}
	if kind == "histogram" {
		series = map[string]Set{name + "_bucket": labels.and(setOf("le")), name + "_sum": labels, name + "_count": labels}
	}
	for name, labels := range series {
		c.labels[name], c.values[name] = labels, values
	}
}
