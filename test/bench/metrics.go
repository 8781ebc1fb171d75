//go:build linux

package bench

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/parley-chat/parley/test/localcluster"
)

// metric adds up the samples of a child's /metrics whose name ends so and whose labels hold that text.
func metric(ctx context.Context, child *localcluster.Child, suffix, label string) (sum float64, err error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+child.Admin+"/metrics", http.NoBody)
	if err != nil {
		return 0, fmt.Errorf("metrics of %s: %w", child.Name, err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, fmt.Errorf("metrics of %s: %w", child.Name, err)
	}
	defer func() { _ = response.Body.Close() }()
	return sumMetric(response.Body, suffix, label)
}

// sumMetric reads the text format of Prometheus.
func sumMetric(text io.Reader, suffix, label string) (sum float64, err error) {
	lines := bufio.NewScanner(text)
	for lines.Scan() {
		line := lines.Text()
		at := strings.LastIndexByte(line, ' ')
		if at < 0 || line[0] == '#' {
			continue
		}
		name, labels, _ := strings.Cut(line[:at], "{")
		if !strings.HasSuffix(name, suffix) || !strings.Contains(labels, label) {
			continue
		}
		value, err := strconv.ParseFloat(line[at+1:], 64)
		if err != nil {
			return 0, fmt.Errorf("metric %q: %w", line, err)
		}
		sum += value
	}
	if err := lines.Err(); err != nil {
		return 0, fmt.Errorf("read metrics: %w", err)
	}
	return sum, nil
}

// redisCalls is how often Redis was asked to carry out a command.
func redisCalls(ctx context.Context, redis localcluster.Redis, command string) (calls int64, err error) {
	answer, err := redis.Do(ctx, "INFO commandstats")
	if err != nil {
		return 0, err
	}
	return callsIn(answer, command), nil
}

func callsIn(info, command string) int64 {
	_, rest, found := strings.Cut(info, "cmdstat_"+command+":calls=")
	if !found {
		return 0
	}
	number, _, _ := strings.Cut(rest, ",")
	calls, err := strconv.ParseInt(number, 10, 64)
	if err != nil {
		return 0
	}
	return calls
}
