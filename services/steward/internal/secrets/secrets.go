package secrets

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/parley-chat/parley/services/steward/internal/kube"
)

// API is the part of the Kubernetes API that Ensure uses. A refusal is a *kube.Error.
type API interface {
	Read(ctx context.Context, kind, name string, into any) error
	Create(ctx context.Context, kind string, object any) error
	// Merge must fail with http.StatusConflict if the object no longer has the resourceVersion in patch.
	Merge(ctx context.Context, kind, name string, patch any) error
}

// object is a Secret in the form of the Kubernetes API. JSON encodes data as base64.
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

const retryDelay = 500 * time.Millisecond

// Ensure generates the missing keys of a Secret and returns their names. It never changes a key that has a value.
// Concurrent calls are safe: the loser of a race starts over with the winner's keys. While the API server is
// unreachable, Ensure retries until ctx ends. The labels are set if Ensure creates the Secret.
func Ensure(ctx context.Context, api API, wanted Secret, labels map[string]string) (made []string, err error) {
	for {
		made, err = ensure(ctx, api, wanted, labels)
		if err == nil {
			return made, nil
		}
		err = fmt.Errorf("Secret %s: %w", wanted.Name, err)
		if !kube.Retryable(err) {
			return nil, err
		}
		select {
		case <-time.After(retryDelay): //nolint:forbidigo // one timer, in a select with ctx
		case <-ctx.Done():
			return nil, err
		}
	}
}

// LossAdvice returns a line of advice for each Secret that was created although other Secrets already existed: it was
// lost. If all were created, this is a first installation, and there is no advice.
func LossAdvice(made []string, advice map[string]string) []string {
	var lines []string
	for _, name := range made {
		if advice[name] != "" {
			lines = append(lines, fmt.Sprintf("%s was missing and has been created again: %s", name, advice[name]))
		}
	}
	if len(lines) == len(advice) {
		return nil
	}
	return lines
}

func ensure(ctx context.Context, api API, wanted Secret, labels map[string]string) ([]string, error) {
	var existing object
	err := api.Read(ctx, "secrets", wanted.Name, &existing)
	missing := kube.StatusOf(err) == http.StatusNotFound
	if err != nil && !missing {
		return nil, err
	}
	fresh, made, err := missingKeys(wanted, existing.Data)
	if err != nil || len(made) == 0 {
		return nil, err
	}
	if missing {
		return made, api.Create(ctx, "secrets", object{
			APIVersion: "v1", Kind: "Secret", Metadata: metadata{Name: wanted.Name, Labels: labels}, Data: fresh,
		})
	}
	return made, api.Merge(ctx, "secrets", wanted.Name, object{Metadata: metadata{ResourceVersion: existing.Metadata.ResourceVersion}, Data: fresh})
}

// missingKeys generates the keys that have no value yet.
func missingKeys(wanted Secret, existing map[string][]byte) (fresh map[string][]byte, made []string, err error) {
	values := map[string]string{}
	for key, value := range existing {
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
