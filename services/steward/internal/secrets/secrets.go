package secrets

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/parley-chat/parley/services/steward/internal/kube"
)

// API is what is asked of the API server. What it refuses is a *kube.Error.
type API interface {
	Read(ctx context.Context, kind, name string, into any) error
	Create(ctx context.Context, kind string, object any) error
	// Merge must refuse with http.StatusConflict what is not based on the resourceVersion in patch.
	Merge(ctx context.Context, kind, name string, patch any) error
}

// object is a Secret as the API server sees it; data travels as base64.
type object struct {
	APIVersion string            `json:"apiVersion,omitempty"`
	Kind       string            `json:"kind,omitempty"`
	Metadata   metadata          `json:"metadata"`
	Data       map[string][]byte `json:"data,omitempty"`
}

type metadata struct {
	Name            string            `json:"name,omitempty"`
	Labels          map[string]string `json:"labels,omitempty"`
	ResourceVersion string            `json:"resourceVersion,omitempty"`
}

const pause = 500 * time.Millisecond

// Ensure makes what is missing of a secret and returns the keys that it made. It changes no key that
// has a value. Several at once agree: whoever comes second starts over from what the first one made.
// While the API server is away it tries again, until ctx ends. Labels are for a Secret that is not
// there at all.
func Ensure(ctx context.Context, api API, wanted Secret, labels map[string]string) (made []string, err error) {
	for {
		made, err = ensure(ctx, api, wanted, labels)
		if err == nil {
			return made, nil
		}
		err = fmt.Errorf("Secret %s: %w", wanted.Name, err)
		if !kube.Passing(err) {
			return nil, err
		}
		select {
		case <-time.After(pause): //nolint:forbidigo // one timer, in a select with ctx
		case <-ctx.Done():
			return nil, err
		}
	}
}

// Lost says what to do about the Secrets that were just made, by advice, while others of them were still there. Where all were
// made it is a first installation, and nothing is to be done.
func Lost(made []string, advice map[string]string) []string {
	var lines []string
	for _, name := range made {
		if advice[name] != "" {
			lines = append(lines, fmt.Sprintf("%s was not there and is made anew: %s", name, advice[name]))
		}
	}
	if len(lines) == len(advice) {
		return nil
	}
	return lines
}

func ensure(ctx context.Context, api API, wanted Secret, labels map[string]string) ([]string, error) {
	var there object
	err := api.Read(ctx, "secrets", wanted.Name, &there)
	missing := kube.StatusOf(err) == http.StatusNotFound
	if err != nil && !missing {
		return nil, err
	}
	fresh, made, err := missingKeys(wanted, there.Data)
	if err != nil || len(made) == 0 {
		return nil, err
	}
	if missing {
		return made, api.Create(ctx, "secrets", object{
			APIVersion: "v1", Kind: "Secret", Metadata: metadata{Name: wanted.Name, Labels: labels}, Data: fresh,
		})
	}
	return made, api.Merge(ctx, "secrets", wanted.Name, object{Metadata: metadata{ResourceVersion: there.Metadata.ResourceVersion}, Data: fresh})
}

// missingKeys makes up the keys that have no value yet.
func missingKeys(wanted Secret, there map[string][]byte) (fresh map[string][]byte, made []string, err error) {
	values := map[string]string{}
	for key, value := range there {
		values[key] = string(value)
	}
	fresh = map[string][]byte{}
	for _, key := range wanted.Keys {
		if values[key.Name] != "" {
			continue
		}
		value, err := fill(key.Template, values)
		if err != nil {
			return nil, nil, fmt.Errorf("key %s: %w", key.Name, err)
		}
		values[key.Name], fresh[key.Name] = value, []byte(value)
		made = append(made, key.Name)
	}
	return fresh, made, nil
}
