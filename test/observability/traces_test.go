package observability_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	recorded "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/parley-chat/parley/pkg/database"
	"github.com/parley-chat/parley/pkg/webapi"
	"github.com/parley-chat/parley/services/standalone"
	"github.com/parley-chat/parley/services/standalone/standalonetest"
	"github.com/parley-chat/parley/test/servertest"
)

// collected is what a collector has been sent.
type collected struct {
	mu    sync.Mutex
	spans []*recorded.Span
	bytes strings.Builder // all of it, to look for what may not be there
}

// collect starts a collector.
func collect(t *testing.T) (*collected, string) {
	t.Helper()
	c := &collected{}
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		var data recorded.TracesData
		if err == nil {
			err = proto.Unmarshal(body, &data)
		}
		if err != nil {
			t.Error(err)
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.bytes.Write(body)
		for _, resource := range data.GetResourceSpans() {
			for _, scope := range resource.GetScopeSpans() {
				c.spans = append(c.spans, scope.GetSpans()...)
			}
		}
	}))
	t.Cleanup(server.Close)
	return c, server.URL
}

// traceOf returns the spans of the trace that has one of that name, by their ids, and its own.
func (c *collected) traceOf(t *testing.T, name string) (all map[string]*recorded.Span, root *recorded.Span) {
	t.Helper()
	for _, span := range c.spans {
		if span.GetName() == name {
			root = span
		}
	}
	if root == nil {
		t.Fatalf("no %q among %d spans", name, len(c.spans))
	}
	all = map[string]*recorded.Span{}
	for _, span := range c.spans {
		if string(span.GetTraceId()) == string(root.GetTraceId()) {
			all[string(span.GetSpanId())] = span
		}
	}
	return all, root
}

// ownDatabase is the URL of an empty PostgreSQL database, which goes with the test.
func ownDatabase(t *testing.T) string {
	t.Helper()
	u, err := url.Parse(os.Getenv("PARLEY_TEST_POSTGRES"))
	if err != nil || u.Host == "" {
		t.Fatal("PARLEY_TEST_POSTGRES names no PostgreSQL to test with; make test starts one", err)
	}
	server, err := database.OpenPostgres(t.Context(), u.String())
	if err != nil {
		t.Fatal(err)
	}
	name := "traces_" + strings.ToLower(webapi.NewID())
	if _, err = server.Exec(t.Context(), "CREATE DATABASE "+name); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		defer server.Close()
		if _, err := server.Exec(context.WithoutCancel(t.Context()), "DROP DATABASE "+name+" WITH (FORCE)"); err != nil {
			t.Error(err)
		}
	})
	u.Path = "/" + name
	return u.String()
}

// serveTraced starts a server with rooms on PostgreSQL, all of whose traces go to a collector.
func serveTraced(t *testing.T, collector string) *servertest.Server {
	t.Helper()
	rooms, s := ownDatabase(t), standalone.New(io.Discard)
	embedded := s.Lookup(standalonetest.Environ(t.TempDir(), "PARLEY_TRACES="+collector, "PARLEY_TRACES_SAMPLE=1"))
	built, err := standalonetest.BuildFrom(t, s, io.Discard, func(name string) (string, bool) {
		if name == "PARLEY_ROOMS_DATABASE" {
			return rooms, true
		}
		return embedded(name)
	})
	if err != nil {
		t.Fatal(err)
	}
	started, err := built.Start(t, &bytes.Buffer{})
	if err != nil {
		t.Fatal(err)
	}
	traced := servertest.At(t, started.URL)
	traced.Server = started
	return traced
}

// One message is one trace: from the frame of its author to those whom it is handed to, through both services, the
// database and Redis.
func TestATraceGoesFromTheFrameToTheFanOut(t *testing.T) {
	t.Parallel()
	collector, url := collect(t)
	s := serveTraced(t, url)
	who := s.People(t)
	author, reader := servertest.SignedIn(t, s, who["user"].AccessToken), servertest.SignedIn(t, s, who["guest"].AccessToken)
	author.Gets(`{"type":"join","id":1,"room":"general"}`, "joined")
	reader.Gets(`{"type":"join","id":1,"room":"general"}`, "joined")
	author.Gets(`{"type":"send","id":2,"room":"general","body":"canary","nonce":"canary"}`, "sent")
	reader.Receives("message")
	exemplars(t, s, "parley_edge_ack_seconds", "parley_rooms_append_duration_seconds", "parley_edge_fanout_seconds")
	s.Stop() // with which all spans are sent

	all, root := collector.traceOf(t, "command send")
	under := func(span *recorded.Span) (names []string) {
		for ; span != nil; span = all[string(span.GetParentSpanId())] {
			names = append(names, span.GetName())
		}
		return names
	}
	found := map[string]bool{}
	for _, span := range all {
		way := under(span)
		found[strings.Join(way, " < ")] = true
		if way[len(way)-1] != root.GetName() {
			t.Errorf("hangs in the air: %v", way)
		}
	}
	const call = "append call < command send"
	const batch = "append batch < POST /internal/append < " + call
	for _, want := range []string{
		"lane < command send", call, "room lock < " + batch, "postgres connection < " + batch, "postgres batch < " + batch,
		"postgres COMMIT < postgres batch < " + batch, "append entry < " + call, "publish < append entry < " + call, "fan out < publish < append entry < " + call,
	} {
		if !found[want] {
			t.Errorf("there is no %q", want)
		}
	}
	if t.Failed() {
		t.Log(found)
	}
	for _, private := range []string{"canary", "general", "ursula", "Gil", who["user"].AccessToken} {
		if strings.Contains(collector.bytes.String(), private) {
			t.Errorf("%q is in a span", private)
		}
	}
}

// exemplars waits until histograms lead to a trace.
func exemplars(t *testing.T, s *servertest.Server, names ...string) {
	t.Helper()
	missing := map[string]bool{}
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); servertest.Pause(t, 20*time.Millisecond) {
		for _, name := range names {
			missing[name] = true
		}
		families, err := s.Metrics.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, family := range families {
			for _, metric := range family.GetMetric() {
				for _, bucket := range metric.GetHistogram().GetBucket() {
					if bucket.GetExemplar() != nil {
						delete(missing, family.GetName())
					}
				}
			}
		}
		if len(missing) == 0 {
			return
		}
	}
	t.Error("without exemplars:", missing)
}
