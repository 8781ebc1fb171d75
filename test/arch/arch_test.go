package arch_test

import (
	"encoding/json"
	"errors"
	"io"
	"maps"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const root = "github.com/parley-chat/parley/"

// rank orders the packages: a package may import only packages of lower rank.
// Every package must be listed, so adding one is a decision and not an accident.
// "*" stands for one service name.
var rank = map[string]int{
	"images":   0, // packs what the others are built to, and knows none of them
	"pkg/chat": -2, "pkg/wire": -1, "pkg/operation": 0, "pkg/metric": 0,

	"pkg/audit": 1, "pkg/datadir": 1, "pkg/env": 1, "pkg/lifecycle": 1, "pkg/lobby": 1, "pkg/roomsapi": 1, "pkg/trace": 1,
	"pkg/limit": 2, "pkg/stream": 2, "pkg/token": 2,

	"pkg/listen": 3, "pkg/observe": 3, "pkg/database": 3, "pkg/redistest": 3, "pkg/databasetest": 3,

	"pkg/audit/audittable": 4, "pkg/audit/audittest": 4, "pkg/changefeed": 4, "pkg/changefeed/feedtest": 4,

	"pkg/webapi": 4, "pkg/process": 4, "pkg/client": 4,
	"pkg/service": 8,

	"services/auth/internal/account":  5,
	"services/auth/internal/keys":     5,
	"services/auth/internal/session":  6,
	"services/rooms/internal/access":  5,
	"services/rooms/internal/message": 6,
	"services/rooms/internal/room":    7,

	"services/*/internal/storetest":      8,
	"services/edge/internal/roomsclient": 8,
	"services/edge/internal/presence":    8,
	"services/edge/internal/lanes":       5,
	"services/edge/internal/ratelimit":   5,
	"services/edge/internal/drain":       5,
	"services/edge/internal/outbox":      5,
	"services/edge/internal/room":        5,
	"services/edge/internal/feed":        6,
	"services/edge/internal/access":      7,
	"services/edge/internal/session":     8,
	"services/edge/internal/ws":          9,
	"services/edge/internal/follow":      9,
	"services/*/internal/httpapi":        9,
	"services/auth/internal/sqlstore":    9,
	"services/rooms/internal/sqlstore":   8,
	"services/rooms/internal/storetest":  9,
	"services/*/internal/sqlite":         9,
	"services/*/internal/postgres":       9,

	"services/steward/internal/kube":         8,
	"services/steward/internal/backup":       8,
	"services/steward/internal/check":        8,
	"services/steward/internal/kubetest":     9,
	"services/steward/internal/secrets":      9,
	"services/steward/internal/deletioncost": 9,

	"services/*": 10, "services/auth/internal/command": 11, "services/steward/internal/command": 11, "services/standalone": 12,
	"services/*/cmd/*": 13, "services/standalone/standalonetest": 13,

	// What tries the whole stands above it.
	"test/contract": 14, "test/procs": 14, "test/chaos/history": 14, "test/bench/load": 14, "test/bench/floor": 14, "test/localcluster": 14,
	"test/servertest": 15, "test/chaos/checker": 15, "test/harness": 15,
	"test/chaos/workload": 16, "test/soak": 16, "test/bench": 16,
	"test/attacks": 17, "test/chaos/faults": 17, "test/monitored": 17,
	"test/cmd/*": 18,

	// These hold nothing but tests.
	"test/arch": 18, "test/api": 18, "test/browser": 18, "test/overload": 18, "test/observability": 18, "test/docs": 18, "test/programs": 18,
}

// domain packages see the vocabulary and the contracts, never a driver or the platform.
const domainFrom, domainTo, contractRank = 5, 7, 2

// drivers lists who may import each third-party package, and those below it.
var drivers = map[string][]string{
	"github.com/gofiber/fiber/v2":          {"pkg/webapi", "pkg/service", "services/*", "services/*/internal/httpapi", "services/edge/internal/ws", "services/edge/internal/follow", "services/standalone/standalonetest", "test/servertest"},
	"github.com/gofiber/contrib/websocket": {"services/edge/internal/ws"},
	"github.com/fasthttp/websocket":        {"services/edge/internal/ws", "pkg/client", "test/servertest"},
	"github.com/redis/go-redis/v9":         {"pkg/stream", "pkg/lobby", "pkg/service", "pkg/redistest", "services/*", "services/edge/internal/presence", "test/bench/floor", "test/soak"},
	"github.com/alicebob/miniredis/v2":     {"pkg/redistest", "services/standalone"},
	"github.com/jackc/pgx/v5":              {"pkg/database", "pkg/databasetest", "services/*/internal/postgres", "services/*/internal/storetest", "test/bench", "test/bench/floor", "test/localcluster", "test/chaos/faults", "test/soak"},
	"modernc.org/sqlite":                   {"pkg/database", "services/*/internal/sqlite"},

	"github.com/minio/minio-go/v7": {"services/steward/internal/backup"},

	// The documents of the API are checked, never served.
	"github.com/santhosh-tekuri/jsonschema/v6": {"test/contract"},
	"go.yaml.in/yaml/v3":                       {"test/contract", "pkg/operation"},

	// Everybody counts, on the registry handed in; only observe owns one and serves it.
	"github.com/prometheus/client_golang/prometheus/collectors": {"pkg/observe"},
	"github.com/prometheus/client_golang/prometheus/promhttp":   {"pkg/observe"},

	// Everybody traces through trace; only observe owns what records and sends.
	"go.opentelemetry.io/otel":           {"pkg/trace", "pkg/observe"},
	"go.opentelemetry.io/otel/sdk":       {"pkg/observe"},
	"go.opentelemetry.io/otel/exporters": {"pkg/observe"},
	"go.opentelemetry.io/proto/otlp":     {"pkg/observe"},
}

// forOthers are packages of pkg/ that serve more than our own modules.
var forOthers = []string{"client"}

type goPackage struct {
	ImportPath                         string
	Doc                                string
	Imports, TestImports, XTestImports []string
	Module                             struct{ Path string }
}

func TestArchitecture(t *testing.T) {
	t.Parallel()
	pkgs := load(t)
	users := map[string]map[string]bool{}
	modules := map[string]bool{}
	for _, p := range pkgs {
		modules[p.Module.Path] = true
		me := strings.TrimPrefix(p.ImportPath, root)
		mine, ok := rankOf(me)
		if !ok {
			t.Errorf("%s has no rank; say where it stands in arch_test.go", me)
			continue
		}
		if p.Doc == "" {
			t.Errorf("%s has no package comment", me)
		}
		for _, imp := range p.Imports {
			pure := me == "pkg/chat" || mine >= domainFrom && mine <= domainTo
			if pure && (imp == "net/http" || imp == "database/sql") {
				t.Errorf("%s imports %s: vocabulary and domain know no transport and no storage", me, imp)
			}
			if other, ours := strings.CutPrefix(imp, root); ours {
				theirs, _ := rankOf(other)
				switch {
				case theirs >= mine:
					t.Errorf("%s (rank %d) imports %s (rank %d): imports point downwards", me, mine, other, theirs)
				case mine >= domainFrom && mine <= domainTo && theirs > contractRank && theirs < domainFrom:
					t.Errorf("%s imports %s: the domain sees contracts, not the platform", me, other)
				case ofTest(other) && !ofTest(me):
					t.Errorf("%s imports %s: nothing that is shipped knows what tries it", me, other)
				case service(me) != service(other) && service(other) != "" && service(me) != "standalone" && !ofTest(me):
					t.Errorf("%s imports %s: services meet on the wire", me, other)
				}
				continue
			}
			for driver, allowed := range drivers {
				if (imp == driver || strings.HasPrefix(imp, driver+"/")) && !slices.ContainsFunc(allowed, matches(me)) {
					t.Errorf("%s imports %s: only %v may", me, imp, allowed)
				}
			}
		}
		for _, imp := range slices.Concat(p.TestImports, p.XTestImports) {
			if other, ours := strings.CutPrefix(imp, root); ours && ofTest(other) && !ofTest(me) {
				t.Errorf("the tests of %s import %s: they stand by themselves", me, other)
			}
		}
		for _, imp := range slices.Concat(p.Imports, p.TestImports, p.XTestImports) {
			if used, ours := strings.CutPrefix(imp, root+"pkg/"); ours {
				if users[used] == nil {
					users[used] = map[string]bool{}
				}
				users[used][p.Module.Path] = true
			}
		}
	}
	inherit(users, pkgs)
	for _, p := range pkgs {
		shared, ok := strings.CutPrefix(p.ImportPath, root+"pkg/")
		delete(users[shared], root+"pkg")
		if ok && !strings.HasSuffix(shared, "test") && !slices.Contains(forOthers, shared) && len(users[shared]) < 2 {
			t.Errorf("pkg/%s serves %d module(s): pkg/ is for what two or more share", shared, len(users[shared]))
		}
	}
	if len(modules) != 9 {
		t.Fatalf("saw %d modules, want 9: this test must run in the workspace", len(modules))
	}
}

// inherit gives a package of pkg/ the users of the packages of pkg/ that are built on it.
func inherit(users map[string]map[string]bool, pkgs []goPackage) {
	for range pkgs { // as often as the longest chain could need
		for _, p := range pkgs {
			shared, ok := strings.CutPrefix(p.ImportPath, root+"pkg/")
			if !ok {
				continue
			}
			for _, imp := range p.Imports {
				if below, ours := strings.CutPrefix(imp, root+"pkg/"); ours {
					maps.Copy(users[below], users[shared])
				}
			}
		}
	}
}

func load(t *testing.T) []goPackage {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Doc,Imports,TestImports,XTestImports,Module", "work")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var pkgs []goPackage
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p goPackage
		err := dec.Decode(&p)
		if errors.Is(err, io.EOF) {
			return pkgs
		}
		if err != nil {
			t.Fatal(err)
		}
		pkgs = append(pkgs, p)
	}
}

func rankOf(path string) (int, bool) {
	if r, ok := rank[path]; ok {
		return r, true
	}
	for pattern, r := range rank {
		if matches(path)(pattern) {
			return r, true
		}
	}
	return 0, false
}

func matches(path string) func(string) bool {
	return func(pattern string) bool {
		want, got := strings.Split(pattern, "/"), strings.Split(path, "/")
		if len(want) != len(got) {
			return false
		}
		for i := range want {
			if want[i] != "*" && want[i] != got[i] {
				return false
			}
		}
		return true
	}
}

// ofTest says whether a package is of the module that tries the whole.
func ofTest(path string) bool { return strings.HasPrefix(path, "test/") }

func service(path string) string {
	rest, ok := strings.CutPrefix(path, "services/")
	if !ok {
		return ""
	}
	name, _, _ := strings.Cut(rest, "/")
	return name
}
