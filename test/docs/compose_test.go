package docs_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// composeFile is what is looked at of compose.yaml.
type composeFile struct {
	Services map[string]struct {
		Image string
		Build struct {
			Args map[string]string
		}
		Environment map[string]string
		Volumes     []string
		Depends     map[string]any `yaml:"depends_on"`
		Healthcheck struct{ Test []string }
		Ports       []string
	}
	Volumes map[string]any
	Configs map[string]struct{ Content string }
}

// TestCompose holds compose.yaml against the services: each is given what it reads and nothing else, says how it is by its own
// program, and is behind the one port.
func TestCompose(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile("../../compose.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var file composeFile
	if err = yaml.Unmarshal(content, &file); err != nil {
		t.Fatal(err)
	}
	readers := documentedReaders(t)
	proxy := file.Configs["caddyfile"].Content
	count := map[string]int{}
	for name, s := range file.Services {
		for other := range s.Depends {
			if _, ok := file.Services[other]; !ok {
				t.Errorf("%s depends on %s, which is not there", name, other)
			}
		}
		for _, volume := range s.Volumes {
			if from, _, _ := strings.Cut(volume, ":"); !has(file.Volumes, from) {
				t.Errorf("%s mounts %s, which is not there", name, from)
			}
		}
		if name != "proxy" && len(s.Ports) > 0 {
			t.Errorf("%s is reached past the proxy", name)
		}
		service := s.Build.Args["SERVICE"]
		if service == "" {
			continue
		}
		count[service]++
		if want := []string{"CMD", "/" + service, "health"}; !slices.Equal(s.Healthcheck.Test, want) {
			t.Errorf("%s is asked for its health by %v", name, s.Healthcheck.Test)
		}
		if !strings.Contains(proxy, " "+name+":8080") {
			t.Errorf("the proxy does not know %s", name)
		}
		for variable, value := range s.Environment {
			plain := strings.TrimSuffix(variable, "_FILE")
			if !slices.Contains(readers[plain], service) {
				t.Errorf("%s is given %s, which %s does not read", name, variable, service)
			}
			for _, host := range regexp.MustCompile(`//([a-z0-9-]+):\d+`).FindAllStringSubmatch(value, -1) {
				if _, ok := file.Services[host[1]]; !ok {
					t.Errorf("%s calls %s, which is not there", name, host[1])
				}
			}
			if _, path, secret := strings.Cut(value, "/run/"); secret && !slices.ContainsFunc(s.Volumes, func(v string) bool {
				return strings.HasSuffix(v, ":/run/"+strings.Split(path, "/")[0]+":ro")
			}) {
				t.Errorf("%s reads %s, which is not mounted for reading only", name, value)
			}
		}
	}
	for service, want := range map[string]int{"auth": 1, "rooms": 2, "edge": 2, "web": 1} {
		if count[service] != want {
			t.Errorf("%d of %s, want %d", count[service], service, want)
		}
	}
	if ports := file.Services["proxy"].Ports; !slices.Equal(ports, []string{"127.0.0.1:8000:8000"}) {
		t.Errorf("the proxy is open to %v", ports)
	}
}

func has(volumes map[string]any, name string) bool {
	_, ok := volumes[name]
	return ok
}

// documentedReaders are the services that read each variable, by docs/configuration.md, which is made from the code.
func documentedReaders(t *testing.T) map[string][]string {
	t.Helper()
	content, err := os.ReadFile(configurationFile)
	if err != nil {
		t.Fatal(err)
	}
	readers := map[string][]string{}
	for _, row := range regexp.MustCompile("(?m)^\\| `([A-Z0-9_]+)` \\| .*? \\| ([a-z, ]+) \\| ").FindAllStringSubmatch(string(content), -1) {
		readers[row[1]] = strings.Split(row[2], ", ")
	}
	return readers
}
