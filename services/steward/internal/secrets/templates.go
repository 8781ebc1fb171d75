// Package secrets generates the secrets of a release in its cluster. It never changes a value that exists.
package secrets

import (
	"crypto/rand"
	"fmt"
	"regexp"
	"strings"
)

// Secret describes a Secret that must exist.
type Secret struct {
	Name string
	Keys []Key // in the order of the arguments
}

// Key describes a key of a Secret that must exist.
type Key struct{ Name, Template string }

var (
	nameForm  = regexp.MustCompile(`^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$`)
	keyForm   = regexp.MustCompile(`^[-._a-zA-Z0-9]{1,253}$`)
	reference = regexp.MustCompile(`\{[^{}]*\}`)
)

// random in a template stands for a new random value.
const random = "{random}"

// Parse reads SECRET/KEY=TEMPLATE arguments.
func Parse(args []string) ([]Secret, error) {
	var secrets []Secret
	seen := map[string]int{}
	for _, arg := range args {
		place, template, ok := strings.Cut(arg, "=")
		name, key, slash := strings.Cut(place, "/")
		switch {
		case !ok || !slash || template == "":
			return nil, fmt.Errorf("%q is not of the form SECRET/KEY=TEMPLATE", arg)
		case !nameForm.MatchString(name):
			return nil, fmt.Errorf("%q is not a valid name of a Secret", name)
		case !keyForm.MatchString(key) || key == "random":
			return nil, fmt.Errorf("%q is not a valid key of a Secret here", key)
		}
		at, ok := seen[name]
		if !ok {
			at = len(secrets)
			seen[name] = at
			secrets = append(secrets, Secret{Name: name})
		}
		for _, k := range secrets[at].Keys {
			if k.Name == key {
				return nil, fmt.Errorf("%s/%s is given twice", name, key)
			}
		}
		secrets[at].Keys = append(secrets[at].Keys, Key{key, template})
	}
	return secrets, nil
}

// fill returns the value of a template. It replaces {random} by 130 random bits in characters that are safe in URLs,
// and {key} by the value of another key.
func fill(template string, values map[string]string) (string, error) {
	var missing error
	value := reference.ReplaceAllStringFunc(template, func(found string) string {
		if found == random {
			return rand.Text()
		}
		key := strings.Trim(found, "{}")
		if values[key] == "" {
			missing = fmt.Errorf("%s is neither in the Secret nor given before this key", found)
		}
		return values[key]
	})
	return value, missing
}
