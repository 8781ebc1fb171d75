//go:build chart

package chart

import (
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

var services = []string{"auth", "rooms", "edge", "web"}

// TestSettingsAreThoseOfTheServices: files/settings.yaml and what the chart sets by itself are docs/configuration.md together.
func TestSettingsAreThoseOfTheServices(t *testing.T) {
	documentation, err := os.ReadFile(repository + "/docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	own := map[string]bool{ // what listeners are called is what the chart takes for granted
		"PARLEY_LISTEN": true, "PARLEY_INTERNAL_LISTEN": true, "PARLEY_ADMIN_LISTEN": true,
		"PARLEY_REDIS_SENTINEL_PASSWORD": true, // which no profile's sentinels want
	}
	for _, p := range append(render(t, evaluation()...).pods(), render(t, profiles["everything"]...).pods()...) {
		for _, c := range p.spec.list("containers") {
			for _, e := range c.list("env") {
				own[e.text("name")] = true
				own[strings.TrimSuffix(e.text("name"), "_FILE")] = true
			}
		}
	}
	for _, name := range []string{"PARLEY_SIGNUP", "PARLEY_TRUSTED_PROXIES", "PARLEY_EDGE_OUTBOX_BYTES", "PARLEY_LOG_LEVEL", "PARLEY_COOKIE_SECURE"} {
		delete(own, name) // set by the profile's config
	}
	want := map[string][]string{}
	for _, row := range regexp.MustCompile("(?m)^\\| `(PARLEY_\\w+)` \\|.*?\\| ([a-z, ]+) \\|").FindAllStringSubmatch(string(documentation), -1) {
		readers := slices.DeleteFunc(strings.Split(row[2], ", "), func(r string) bool { return r != "steward" && !slices.Contains(services, r) })
		if len(readers) > 0 && !own[row[1]] {
			want[row[1]] = readers
		}
	}
	const file = chart + "/files/settings.yaml"
	if *update {
		text := "# Which service reads which setting, as docs/configuration.md says. Written anew by `make chart-test UPDATE=1`.\n"
		for _, name := range slices.Sorted(maps.Keys(want)) {
			text += fmt.Sprintf("%s: [%s]\n", name, strings.Join(want[name], ", "))
		}
		if err = os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var got map[string][]string
	if err := yaml.Unmarshal(content, &got); err != nil {
		t.Fatal(err)
	}
	for name := range maps.Keys(want) {
		if !slices.Equal(got[name], want[name]) {
			t.Errorf("%s is read by %v, and files/settings.yaml says %v: make chart-test UPDATE=1", name, want[name], got[name])
		}
	}
	for name := range got {
		if want[name] == nil {
			t.Errorf("files/settings.yaml knows %s, which no service reads: make chart-test UPDATE=1", name)
		}
	}
}

// TestSettingsReachTheirReaders: and no other, which a change would restart for nothing.
func TestSettingsReachTheirReaders(t *testing.T) {
	all := render(t, evaluation("--set", "publicURL=https://a.example,config.PARLEY_SIGNUP=false,config.PARLEY_EDGE_OUTBOX_BYTES=2097152",
		"--set", "config.PARLEY_LOG_LEVEL=warn,edge.config.PARLEY_LOG_LEVEL=debug")...)
	for name, want := range map[string][4]string{ // auth, rooms, edge, web
		"PARLEY_SIGNUP":            {"false", "", "", ""},
		"PARLEY_EDGE_OUTBOX_BYTES": {"", "", "2097152", ""},
		"PARLEY_LOG_LEVEL":         {"warn", "warn", "debug", "warn"},
		"PARLEY_COOKIE_SECURE":     {"true", "true", "true", "true"},
		"PARLEY_PUBLIC_URL":        {"https://a.example", "https://a.example", "https://a.example", ""},
	} {
		for i, service := range services {
			if got := all.component(t, service).env(name); got != want[i] {
				t.Errorf("%s: %s is %q, want %q", service, name, got, want[i])
			}
		}
	}
	if got := all.component(t, "edge").env("GOMEMLIMIT"); got != "921MiB" {
		t.Errorf("of 1 GiB, Go may use %s", got)
	}
}

// TestStores: how PostgreSQL and Redis are reached, in each form.
func TestStores(t *testing.T) {
	everything := render(t, profiles["everything"]...)
	for _, test := range []struct {
		what      string
		arguments []string
		component string
		want      map[string]string
	}{
		{"evaluation", evaluation(), "auth", map[string]string{
			"PARLEY_AUTH_DATABASE_FILE": "/etc/parley/auth-database", "PARLEY_REDIS_FILE": "/etc/parley/redis",
			"PARLEY_ADMIN_USER": "admin", "PGSSLMODE": "",
		}},
		{"parts", profiles["small"], "rooms", map[string]string{
			"PARLEY_ROOMS_DATABASE": "postgres://parley@postgres.example.org:5432/parley?pool_max_conns=8", "PGPASSWORD": "from", "PGSSLMODE": "verify-full",
			"PARLEY_REDIS": "redis://redis.example.org:6379/0", "PARLEY_REDIS_PASSWORD": "from",
		}},
		{"sentinel", profiles["production"], "rooms", map[string]string{
			"PARLEY_ROOMS_DATABASE_FILE": "/etc/parley/rooms-database", "PGSSLROOTCERT": "/etc/parley/rooms-database-ca.crt", "PGPASSWORD": "",
			"PARLEY_REDIS_PASSWORD": "from", "PARLEY_REDIS_SENTINEL_PASSWORD": "from",
			"PARLEY_REDIS": "rediss+sentinel://sentinel-0.redis:26379,sentinel-1.redis:26379,sentinel-2.redis:26379/0" +
				"?master=mymaster&ca_file=/etc/parley/redis-ca.crt",
		}},
		{"cluster", profiles["everything"], "edge", map[string]string{
			"PARLEY_REDIS": "rediss+cluster://parley@redis-0:6379,redis-1:6380" +
				"?ca_file=/etc/parley/redis-ca.crt&cert_file=/etc/parley/redis-client.crt&key_file=/etc/parley/redis-client.key&server_name=redis.example.org",
		}},
		{"a database of its own", profiles["everything"], "auth", map[string]string{
			"PARLEY_AUTH_DATABASE": "postgres://auth@db.example.org:5432/auth?pool_max_conns=16", "PGSSLCERT": "/etc/parley/auth-database-client.crt",
		}},
		{"names that mean something in a URL", profilesWith("small", "--set", "postgres.external.user=chat@server,postgres.external.database=a b,redis.external.username=a/b"), "rooms", map[string]string{
			"PARLEY_ROOMS_DATABASE": "postgres://chat%40server@postgres.example.org:5432/a%20b?pool_max_conns=8",
			"PARLEY_REDIS":          "redis://a%2Fb@redis.example.org:6379/0",
		}},
		{"a URL in the values", profiles["everything"], "rooms", map[string]string{"PARLEY_ROOMS_DATABASE_FILE": "/etc/parley/rooms-database"}},
	} {
		t.Run(test.what, func(t *testing.T) {
			p := render(t, test.arguments...).component(t, test.component)
			for name, want := range test.want {
				if got := p.env(name); got != want {
					t.Errorf("%s: %s is %q, want %q", test.component, name, got, want)
				}
			}
		})
	}
	if got := everything.find(t, "Secret", "parley-postgres-url").text("stringData", "rooms-url"); !strings.HasPrefix(got, "postgres://rooms:secret@") {
		t.Errorf("the Secret of the URL has %q", got)
	}
	if got := len(everything.component(t, "backup").spec.list("initContainers")); got != 2 {
		t.Errorf("two databases are dumped by %d containers", got)
	}
}

// TestSecretsJob: it is there where a Secret was not brought, its name changes with what it does, and Helm knows no Secret that it
// fills: what is rendered, `helm upgrade --force` would put in the place of what is there.
func TestSecretsJob(t *testing.T) {
	name := func(arguments ...string) string {
		for _, job := range render(t, arguments...).ofKind("Job") {
			if strings.HasPrefix(job.name(), "parley-secrets-") {
				return job.name()
			}
		}
		return ""
	}
	first := name(evaluation()...)
	if first == "" || name(evaluation("--set", "edge.replicas=5")...) != first {
		t.Error("the Job has no name, or another one for no reason: `kubectl apply` would run it again")
	}
	if name(evaluation("--set", "image.tag=v2")...) == first {
		t.Error("another image, and the same name: Kubernetes would refuse the upgrade")
	}
	if got := name(profiles["everything"]...); got != "" {
		t.Errorf("every Secret was brought, and there is %s", got)
	}
	all := render(t, evaluation()...)
	for _, secret := range all.ofKind("Secret") {
		t.Errorf("%s is rendered, though the Job makes all Secrets here", secret)
	}
	if got := strings.Join(madeByJob(all), " "); got != "parley-administrator parley-check parley-credential parley-postgres parley-redis" {
		t.Errorf("the Job makes %s", got)
	}
	// Names for URLs in the values are others: Helm would refuse to own what the Job made while the stores were the evaluation's.
	for _, secret := range render(t, profiles["everything"]...).ofKind("Secret") {
		if slices.Contains(madeByJob(all), secret.name()) {
			t.Errorf("the chart renders %s, and so does the Job with other values", secret)
		}
	}
}

// madeByJob are the Secrets that the Job makes, which must be those that it may change.
func madeByJob(all objects) []string {
	for _, role := range all.ofKind("Role") {
		for _, rule := range role.list("rules") {
			if names := rule.words("resourceNames"); slices.Contains(rule.words("resources"), "secrets") && len(names) > 0 {
				return slices.Sorted(slices.Values(names))
			}
		}
	}
	return nil
}

// TestJobsOfEachRevisionAreOthers: a finished Job does nothing more, and can't be replaced.
func TestJobsOfEachRevisionAreOthers(t *testing.T) {
	arguments := evaluation("--set", "backup.enabled=true,backup.volume.enabled=true")
	for _, job := range render(t, arguments...).ofKind("Job") {
		if !strings.Contains(job.name(), "-1-") { // helm template is revision 1
			t.Errorf("%s has the same name in the next revision", job)
		}
	}
}
