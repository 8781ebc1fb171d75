//go:build chart

package chart

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestPodsAreRestricted: what the Pod Security Standard "restricted" asks for, and more.
func TestPodsAreRestricted(t *testing.T) {
	eachProfile(t, func(t *testing.T, all objects) {
		for _, p := range all.pods() {
			context := p.spec.in("securityContext")
			if context.at("runAsNonRoot") != true || context.number("runAsUser") == 0 || context.text("seccompProfile", "type") != "RuntimeDefault" {
				t.Errorf("%s: its pod runs as root, or without seccomp: %v", p.owner, context)
			}
			if p.spec.at("enableServiceLinks") != false {
				t.Errorf("%s: service links put variables into its environment", p.owner)
			}
			for _, field := range []string{"hostNetwork", "hostPID", "hostIPC"} {
				if p.spec.at(field) != nil {
					t.Errorf("%s has %s", p.owner, field)
				}
			}
			for _, volume := range p.spec.list("volumes") {
				if volume.at("hostPath") != nil {
					t.Errorf("%s mounts a folder of the node", p.owner)
				}
			}
			for _, c := range p.containers() {
				who := p.owner.String() + " " + c.text("name")
				context := c.in("securityContext")
				if context.at("readOnlyRootFilesystem") != true || context.at("allowPrivilegeEscalation") != false || context.at("privileged") != nil {
					t.Errorf("%s may write to its root, or rise: %v", who, context)
				}
				if fmt.Sprint(context.at("capabilities", "drop")) != "[ALL]" || context.at("capabilities", "add") != nil {
					t.Errorf("%s has capabilities: %v", who, context)
				}
				if c.at("resources", "requests", "cpu") == nil || c.at("resources", "limits", "memory") == nil {
					t.Errorf("%s has no request of CPU or limit of memory", who)
				}
				if !regexp.MustCompile(`.(:[0-9][^:/]*|@sha256:[0-9a-f]{64})$`).MatchString(c.text("image")) {
					t.Errorf("%s: %s is no pinned image", who, c.text("image"))
				}
			}
		}
	})
}

// TestTokensAreMountedWhereTheyAreNeeded: in the pods that talk to the API server, and nowhere else.
func TestTokensAreMountedWhereTheyAreNeeded(t *testing.T) {
	eachProfile(t, func(t *testing.T, all objects) {
		for _, account := range all.ofKind("ServiceAccount") {
			if account.at("automountServiceAccountToken") != false {
				t.Errorf("%s mounts its token by default", account)
			}
		}
		bound := map[string]bool{}
		for _, binding := range all.ofKind("RoleBinding") {
			bound[binding.list("subjects")[0].text("name")] = true
		}
		for _, p := range all.pods() {
			component := p.labels["app.kubernetes.io/component"]
			needed := component == "secrets" || component == "steward" || component == "check"
			if got := p.spec.at("automountServiceAccountToken"); got != needed {
				t.Errorf("%s: its token is mounted: %v, want %v", p.owner, got, needed)
			}
			if account := p.spec.text("serviceAccountName"); bound[account] != needed {
				t.Errorf("%s: its account %s has a Role: %v, want %v", p.owner, account, bound[account], needed)
			}
		}
		for _, role := range all.ofKind("Role") {
			for _, rule := range role.list("rules") {
				if strings.Contains(rule.all(), "*") {
					t.Errorf("%s has a wildcard", role)
				}
				// Kubernetes can't limit the right to create to names.
				if slices.Contains(rule.words("resources"), "secrets") && len(rule.words("resourceNames")) == 0 && fmt.Sprint(rule.words("verbs")) != "[create]" {
					t.Errorf("%s reaches every Secret of the namespace", role)
				}
			}
		}
	})
}

// TestSecretsAreInSecretsOnly: a variable has no secret in it, nor has an argument.
func TestSecretsAreInSecretsOnly(t *testing.T) {
	const word = "rooms:secret@" // of the everything profile's URL
	secret := regexp.MustCompile(`PASSWORD|CREDENTIAL|SECRET|ACCESS_KEY|PARLEY_REDIS$|DATABASE$`)
	eachProfile(t, func(t *testing.T, all objects) {
		for _, o := range all {
			if o.kind() != "Secret" && strings.Contains(o.all(), word) {
				t.Errorf("%s tells a password", o)
			}
		}
		for _, p := range all.pods() {
			for _, c := range p.containers() {
				for _, e := range c.list("env") {
					name, value := e.text("name"), e.text("value")
					switch {
					case !secret.MatchString(name) || e.at("valueFrom", "secretKeyRef") != nil:
					case strings.HasSuffix(name, "_FILE") && strings.HasPrefix(value, "/etc/parley/"):
					case regexp.MustCompile(`^(postgres|rediss?(\+\w+)?)://([a-z]*@)?[^@:$]+:[^$]*$`).MatchString(value):
					default:
						t.Errorf("%s: %s=%s", p.owner, name, value)
					}
				}
			}
		}
	})
}

// TestServicesCanBeProbed: each service has all three probes, on the listener that knows nothing of the stores.
func TestServicesCanBeProbed(t *testing.T) {
	eachProfile(t, func(t *testing.T, all objects) {
		for _, name := range []string{"auth", "rooms", "edge", "web"} {
			c := all.component(t, name).spec.list("containers")[0]
			for probe, path := range map[string]string{"startupProbe": "/livez", "livenessProbe": "/livez", "readinessProbe": "/readyz"} {
				if c.text(probe, "httpGet", "path") != path || c.text(probe, "httpGet", "port") != "admin" {
					t.Errorf("%s: %s is %v", name, probe, c.at(probe))
				}
			}
			if c.number("readinessProbe", "failureThreshold") < 2 {
				t.Errorf("%s turns unready by one answer that is late", name)
			}
		}
	})
}

// TestFilesAreMounted: what a variable calls a file of /etc/parley is one of the volume there.
func TestFilesAreMounted(t *testing.T) {
	eachProfile(t, func(t *testing.T, all objects) {
		for _, p := range all.pods() {
			volumes := map[string]object{}
			for _, v := range p.spec.list("volumes") {
				volumes[v.text("name")] = v
			}
			for _, c := range p.containers() {
				files := map[string]bool{}
				for _, mount := range c.list("volumeMounts") {
					volume, ok := volumes[mount.text("name")]
					if !ok && mount.text("name") != "data" { // a StatefulSet's claim
						t.Errorf("%s mounts %s, which is no volume", p.owner, mount.text("name"))
					}
					sources := append(volume.list("projected", "sources"), object{"secret": map[string]any(volume.in("secret"))})
					for _, source := range sources {
						for _, item := range source.list("secret", "items") {
							files[mount.text("mountPath")+"/"+item.text("path")] = true
						}
					}
				}
				for _, e := range c.list("env") {
					for _, file := range regexp.MustCompile(`/etc/parley/[^&"]+`).FindAllString(e.text("value"), -1) {
						if !files[file] {
							t.Errorf("%s: %s is %s, which is not mounted: %v", p.owner, e.text("name"), file, files)
						}
					}
				}
			}
		}
	})
}
