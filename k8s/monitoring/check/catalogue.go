package check

import (
	"fmt"
	"os"
	"regexp"
	"strings"
)

// Catalogue is what can be asked for: the labels of each series, by name.
type Catalogue map[string]Set

// target is what the scrape adds to each series: see prometheus.yml and the chart's PodMonitor.
var target = setOf("namespace", "release", "component", "pod", "job", "instance")

// foreign are the metrics of others that the queries may use.
var foreign = map[string]Set{
	// Of the scrape, Go's runtime and the process: each target has them.
	"up": target, "ALERTS": target.and(setOf("alertname", "alertstate", "severity", "slo", "window")),
	"go_goroutines": target, "go_gc_duration_seconds": target.and(setOf("quantile")),
	"process_cpu_seconds_total": target, "process_resident_memory_bytes": target, "process_start_time_seconds": target,
	"process_open_fds": target, "process_max_fds": target,
	// Of kube-state-metrics (stable ones) and the kubelet.
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

// metricRow is a row of the table of metrics: | `name` | type | `label`: values; … | …
var (
	metricRow = regexp.MustCompile("^\\| `(parley_[a-z_]+)` \\| (counter|gauge|histogram) \\| ([^|]*) \\|")
	labelName = regexp.MustCompile("`([a-z_]+)`:")
)

// Read makes the catalogue of docs/observability.md, which another test holds against what the services
// register, and of the metrics of others.
func Read(observability string) (Catalogue, error) {
	content, err := os.ReadFile(observability)
	if err != nil {
		return nil, fmt.Errorf("the table of metrics: %w", err)
	}
	c := Catalogue{}
	for line := range strings.Lines(string(content)) {
		row := metricRow.FindStringSubmatch(line)
		if row == nil {
			continue
		}
		labels := target
		for _, found := range labelName.FindAllStringSubmatch(row[3], -1) {
			labels = labels.and(setOf(found[1]))
		}
		if row[2] == "histogram" {
			c[row[1]+"_bucket"] = labels.and(setOf("le"))
			c[row[1]+"_sum"], c[row[1]+"_count"] = labels, labels
		} else {
			c[row[1]] = labels
		}
	}
	if len(c) == 0 {
		return nil, fmt.Errorf("%s has no row that reads | `parley_…` | type | labels |", observability)
	}
	for name, labels := range foreign {
		c[name] = labels
	}
	return c, nil
}
