package docs_test

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/parley-chat/parley/pkg/env"
	"github.com/parley-chat/parley/pkg/lifecycle"
	"github.com/parley-chat/parley/pkg/observe"
	"github.com/parley-chat/parley/pkg/process"
	"github.com/parley-chat/parley/pkg/webapi"
	"github.com/parley-chat/parley/services/auth"
	"github.com/parley-chat/parley/services/edge"
	"github.com/parley-chat/parley/services/rooms"
	"github.com/parley-chat/parley/services/standalone"
	"github.com/parley-chat/parley/services/steward"
	"github.com/parley-chat/parley/test/localcluster"
)

const configurationFile = "../../docs/configuration.md"

var update = flag.Bool("update", false, "write "+configurationFile+" anew")

// documented is a variable and what reads it, with each reader's default.
type documented struct {
	env.Variable

	readers  []string
	defaults []string
}

// The instruments, which all come from one address, lift every limit that there is.
func TestWithoutLimitsThereAreNone(t *testing.T) {
	t.Parallel()
	lifted := map[string]bool{}
	for _, variable := range localcluster.WithoutLimits() {
		name, _, _ := strings.Cut(variable, "=")
		lifted[name] = true
	}
	r := env.New(func(string) (string, bool) { return "", false })
	auth.ConfigFrom(r)
	rooms.ConfigFrom(r)
	edge.ConfigFrom(r)
	for _, v := range r.Table() {
		if limit := strings.HasPrefix(v.Name, "PARLEY_LIMIT_") && !strings.HasSuffix(v.Name, "_BURST"); limit && !lifted[v.Name] {
			t.Error("not lifted:", v.Name)
		}
	}
	for name := range lifted {
		if !slices.ContainsFunc(r.Table(), func(v env.Variable) bool { return v.Name == name }) {
			t.Error("no such limit:", name)
		}
	}
}

// TestConfigurationIsDocumented holds docs/configuration.md against what the programs read.
func TestConfigurationIsDocumented(t *testing.T) {
	t.Parallel()
	var variables []*documented
	read := func(reader string, from func(*env.Reader)) {
		r := env.New(func(string) (string, bool) { return "", false })
		from(r)
		for _, v := range r.Table() {
			if reader == "standalone" {
				if standalone.Own(v.Name) {
					continue
				}
				if only, ok := standalone.OnlyEdge()[v.Name]; ok {
					v.Default = only
				}
			}
			at := slices.IndexFunc(variables, func(d *documented) bool { return d.Name == v.Name })
			if at < 0 {
				variables = append(variables, &documented{Variable: v})
				at = len(variables) - 1
			}
			d := variables[at]
			if d.Doc != v.Doc && !slices.Contains(ownWords, v.Name) {
				t.Errorf("%s means two things: %q (%s) and %q (%v)", v.Name, v.Doc, reader, d.Doc, d.readers)
			}
			if !slices.Contains(d.readers, reader) {
				d.readers = append(d.readers, reader)
				d.defaults = append(d.defaults, v.Default)
				d.Required = d.Required || v.Required
			}
		}
	}
	// A Build reads all that it needs and then fails for what is missing, before it does anything.
	building := func(build process.Build, defaults process.Defaults) func(*env.Reader) {
		return func(r *env.Reader) {
			if _, err := build(t.Context(), &process.Process{Env: r}); err == nil {
				t.Error("started on no configuration")
			}
			observe.LogConfigFrom(r, defaults.LogFormat)
			observe.TraceConfigFrom(r)
			process.Admin(r, defaults.AdminListen)
		}
	}
	inCluster := process.Defaults{AdminListen: ":9090", LogFormat: "json"}
	read("auth", building(auth.Build, inCluster))
	read("rooms", building(rooms.Build, inCluster))
	read("edge", building(edge.Build, inCluster))
	read("web", building(func(_ context.Context, p *process.Process) ([]lifecycle.Part, error) {
		webapi.PublicFrom(p.Env, "web", 0)
		return nil, errors.New("no listener here")
	}, inCluster))
	read("steward", building(steward.Build, inCluster))
	read("steward", func(r *env.Reader) { steward.AccountFrom(r); steward.AdministratorFrom(r); steward.KeysFrom(r) })
	read("standalone", building(refusing().Build, standalone.Defaults()))
	read("cluster", func(r *env.Reader) { localcluster.SettingsFrom(r) })

	want := page(variables)
	if *update {
		if err := os.MkdirAll("../../docs", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(configurationFile, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(configurationFile)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("docs/configuration.md is stale (%v): make docs", err)
	}
}

// refusing is a server that was told what can't be: it reads all that it needs, and does not start.
func refusing() *standalone.Server {
	s := standalone.New(io.Discard)
	s.Lookup(func(name string) (string, bool) { return "redis://elsewhere", name == "PARLEY_REDIS" })
	return s
}

// ownWords are variables that each program describes in words of its own.
var ownWords = []string{"PARLEY_LISTEN", "PARLEY_DATA", "PARLEY_ADMIN_USER"}

func page(variables []*documented) []byte {
	var out bytes.Buffer
	out.WriteString(`# Configuration

Everything is configured by environment variables. Each program reads its own when it starts and reports all that is missing or
malformed at once. Secrets may come from a file, named by the variable with ` + "`_FILE`" + ` at its end. Durations are such as
` + "`30s`, `5m` or `24h`" + `.

The standalone server runs all services in one process on stores of its own: it takes what auth, rooms and edge take, but not
` + "`PARLEY_AUTH_DATABASE`, `PARLEY_ROOMS_DATABASE`, `PARLEY_AUTH_URL`, `PARLEY_ROOMS_URL`, `PARLEY_REDIS`" + ` and
` + "`PARLEY_SERVICE_CREDENTIAL`" + `, and the drain's defaults are shorter. ` + "`make run-cluster`" + ` passes every variable on to the services
that it starts, except where they listen, whom they call and where they keep their data.

This file is generated from the code (` + "`make docs`" + `).

| variable | default | read by | what it is |
| --- | --- | --- | --- |
`)
	slices.SortFunc(variables, func(a, b *documented) int { return cmp.Compare(a.Name, b.Name) })
	for _, v := range variables {
		fmt.Fprintf(&out, "| `%s` | %s | %s | %s |\n", v.Name, v.defaultText(), strings.Join(v.readers, ", "), v.Doc)
	}
	return out.Bytes()
}

// defaultText shows the default, or each reader's where they differ.
func (d *documented) defaultText() string {
	one := func(text string) string {
		if text == "" {
			return ""
		}
		return "`" + text + "`"
	}
	if d.Required {
		return "*required*"
	}
	texts := map[string][]string{}
	var order []string
	for i, text := range d.defaults {
		if texts[text] == nil {
			order = append(order, text)
		}
		texts[text] = append(texts[text], d.readers[i])
	}
	if len(order) == 1 {
		return one(order[0])
	}
	var parts []string
	for _, text := range order {
		if text != "" {
			parts = append(parts, one(text)+" ("+strings.Join(texts[text], ", ")+")")
		}
	}
	return strings.Join(parts, ", ")
}
