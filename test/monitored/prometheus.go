//go:build linux

package monitored

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"

	"github.com/parley-chat/parley/test/harness"
	"github.com/parley-chat/parley/test/localcluster"
)

// faster is by how much every duration of rules and queries is shortened: days are not to be waited for.
// What is compared with seconds in an expression stays as it is.
const faster = 20

var duration = regexp.MustCompile(`(?m)(\[|:|^ +for: )(\d+)(s|m|h|d)\b`)

// shorten shortens the ranges, the subqueries' steps and the times that an alert must last.
func shorten(text string) string {
	return duration.ReplaceAllStringFunc(text, func(found string) string {
		parts := duration.FindStringSubmatch(found)
		d, err := time.ParseDuration(parts[2] + strings.Replace(parts[3], "d", "h", 1))
		if err != nil {
			return found
		}
		if parts[3] == "d" {
			d *= 24
		}
		return fmt.Sprintf("%s%ds", parts[1], max(1, int((d/faster).Seconds())))
	})
}

// prometheus is one that scrapes the cluster each second.
type prometheus struct {
	child *localcluster.Child
	url   string
}

func newPrometheus(ctx context.Context, o Options, folder string, c *harness.Cluster) (*prometheus, error) {
	rules := filepath.Join(folder, "rules")
	if err := os.MkdirAll(rules, 0o700); err != nil {
		return nil, fmt.Errorf("folder: %w", err)
	}
	files, err := filepath.Glob(filepath.Join(o.Chart, "files", "rules", "*.yaml"))
	if err != nil || len(files) == 0 {
		return nil, errors.Join(err, fmt.Errorf("%s/files/rules holds no rules", o.Chart)) //nolint:err113 // told as it is
	}
	for _, file := range files {
		content, failed := os.ReadFile(file) //nolint:gosec // the chart's
		if failed == nil {
			failed = os.WriteFile(filepath.Join(rules, filepath.Base(file)), []byte(shorten(string(content))), 0o600) //nolint:gosec // the same
		}
		if failed != nil {
			return nil, fmt.Errorf("rules: %w", failed)
		}
	}
	config := filepath.Join(folder, "prometheus.json") // JSON is YAML
	content, err := json.Marshal(configFor(c, rules))
	if err == nil {
		err = os.WriteFile(config, content, 0o600)
	}
	if err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	address, err := free(ctx)
	if err != nil {
		return nil, err
	}
	p := &prometheus{url: "http://" + address}
	p.child = &localcluster.Child{
		Name: "prometheus", Address: address, Path: o.Prometheus, LogFile: filepath.Join(folder, "log"), Stop: syscall.SIGTERM, Grace: 10 * time.Second,
		Args: []string{
			"--config.file=" + config, "--storage.tsdb.path=" + filepath.Join(folder, "data"), "--web.listen-address=" + address, "--log.level=warn",
		},
		Probe: func(ctx context.Context) error { return p.get(ctx, "/-/ready", nil) },
	}
	return p, nil
}

// configFor scrapes every service, with the labels that queries expect.
func configFor(c *harness.Cluster, rules string) map[string]any {
	var targets []map[string]any
	for _, child := range c.Children() {
		if service := component(child); service != "" {
			targets = append(targets, map[string]any{
				"targets": []string{child.Admin},
				"labels":  map[string]string{"namespace": "laptop", "release": "parley", "component": service, "pod": child.Name},
			})
		}
	}
	return map[string]any{
		"global":         map[string]any{"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
		"rule_files":     []string{filepath.Join(rules, "*.yaml")},
		"scrape_configs": []any{map[string]any{"job_name": "parley", "static_configs": targets}},
	}
}

func free(ctx context.Context) (string, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("a port for Prometheus: %w", err)
	}
	return listener.Addr().String(), listener.Close()
}

// get asks the HTTP API; into takes the answer's data.
func (p *prometheus) get(ctx context.Context, path string, into any) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url+path, http.NoBody)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if into == nil {
		if response.StatusCode != http.StatusOK {
			return fmt.Errorf("%s answers %s", path, response.Status)
		}
		return nil
	}
	answer := struct {
		Error string `json:"error"`
		Data  any    `json:"data"`
	}{Data: into}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if answer.Error != "" {
		return errors.New(answer.Error) //nolint:err113 // Prometheus' own words
	}
	return nil
}

// query says how many series a query gives.
func (p *prometheus) query(ctx context.Context, query string) (int, error) {
	var data struct {
		Result []json.RawMessage `json:"result"`
	}
	err := p.get(ctx, "/api/v1/query?query="+url.QueryEscape(query), &data)
	return len(data.Result), err
}

// rule is one that Prometheus evaluates.
type rule struct {
	Name, Query, Health, LastError, Type string
}

func (p *prometheus) rules(ctx context.Context) ([]rule, error) {
	var data struct {
		Groups []struct{ Rules []rule }
	}
	if err := p.get(ctx, "/api/v1/rules", &data); err != nil {
		return nil, err
	}
	var all []rule
	for _, group := range data.Groups {
		all = append(all, group.Rules...)
	}
	return all, nil
}

// firing are the names of the alerts that fire.
func (p *prometheus) firing(ctx context.Context) (map[string]bool, error) {
	var data struct {
		Alerts []struct {
			Labels map[string]string
			State  string
		}
	}
	if err := p.get(ctx, "/api/v1/alerts", &data); err != nil {
		return nil, err
	}
	names := map[string]bool{}
	for _, alert := range data.Alerts {
		if alert.State == "firing" {
			names[alert.Labels["alertname"]] = true
		}
	}
	return names, nil
}
