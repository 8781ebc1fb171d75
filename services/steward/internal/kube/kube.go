// Package kube calls the Kubernetes API server as the service account of the process's pod. It has the few calls that
// Parley needs; Kubernetes' own client would be three quarters of the program.
package kube

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/parley-chat/parley/pkg/env"
)

// Mounted is the folder where Kubernetes mounts a pod's service account.
const Mounted = "/var/run/secrets/kubernetes.io/serviceaccount"

const (
	callTimeout = 15 * time.Second
	maxAnswer   = 32 << 20
)

// Client calls the API server for objects in the pod's own namespace.
type Client struct {
	Namespace string

	base   string
	folder string
	http   *http.Client
}

// InCluster makes a Client from the pod's environment and the service account in folder. The error says what to change
// if no account is mounted.
func InCluster(r *env.Reader, folder string) (*Client, error) {
	host := r.Required("KUBERNETES_SERVICE_HOST", "The host of the API server. Kubernetes sets it in every pod.")
	port := r.String("KUBERNETES_SERVICE_PORT", "443", "The port of the API server. Kubernetes sets it in every pod.")
	if err := r.Err(); err != nil {
		return nil, err
	}
	namespace, err := os.ReadFile(filepath.Join(folder, "namespace")) //nolint:gosec // a fixed place
	if err != nil {
		return nil, fmt.Errorf("no service account is mounted; set automountServiceAccountToken: true for this pod: %w", err)
	}
	ca, err := os.ReadFile(filepath.Join(folder, "ca.crt")) //nolint:gosec // a fixed place
	if err != nil {
		return nil, fmt.Errorf("the cluster's CA: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(ca) {
		return nil, fmt.Errorf("the cluster's CA: %s/ca.crt holds no certificate", folder)
	}
	return &Client{
		Namespace: strings.TrimSpace(string(namespace)),
		base:      "https://" + net.JoinHostPort(host, port),
		folder:    folder,
		http: &http.Client{
			Timeout:   callTimeout,
			Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, IdleConnTimeout: time.Minute},
		},
	}, nil
}

// Error is a refusal of the API server.
type Error struct {
	Status       int // of HTTP
	Call         string
	Reason, Text string
}

// Error implements error. If the Role lacks a rule, the message says so.
func (e *Error) Error() string {
	text := fmt.Sprintf("the API server answers %s: %d %s: %s", e.Call, e.Status, e.Reason, e.Text)
	if e.Status == http.StatusForbidden {
		text += " (add a rule for this call to the Role of this pod)"
	}
	return text
}

// StatusOf returns the HTTP status of a refusal, 0 for any other error.
func StatusOf(err error) int {
	if refused, ok := errors.AsType[*Error](err); ok {
		return refused.Status
	}
	return 0
}

// errUnreachable means that there was no response.
var errUnreachable = errors.New("the API server is unreachable (does a NetworkPolicy allow this pod to connect to it?)")

// Retryable reports whether the same call may succeed later: the API server was unreachable or busy, or the object
// changed in the meantime.
func Retryable(err error) bool {
	status := StatusOf(err)
	return errors.Is(err, errUnreachable) || status == http.StatusConflict || status == http.StatusTooManyRequests || status >= http.StatusInternalServerError
}

// List reads the objects of a kind, such as "pods", that match a label selector.
func (c *Client) List(ctx context.Context, kind, selector string, into any) error {
	return c.call(ctx, http.MethodGet, c.path(kind)+"?"+url.Values{"labelSelector": {selector}}.Encode(), "", nil, into)
}

// Read reads one object.
func (c *Client) Read(ctx context.Context, kind, name string, into any) error {
	return c.call(ctx, http.MethodGet, c.path(kind, name), "", nil, into)
}

// Create creates an object.
func (c *Client) Create(ctx context.Context, kind string, object any) error {
	return c.call(ctx, http.MethodPost, c.path(kind), "application/json", object, nil)
}

// Merge applies a JSON merge patch (RFC 7396) to an object. If patch has a resourceVersion and the object no longer
// has it, nothing changes and the status is http.StatusConflict.
func (c *Client) Merge(ctx context.Context, kind, name string, patch any) error {
	return c.call(ctx, http.MethodPatch, c.path(kind, name), "application/merge-patch+json", patch, nil)
}

// SetOwner makes a service account the owner of a pod, so that Kubernetes' garbage collector deletes the pod with the
// account.
func SetOwner(ctx context.Context, c *Client, pod, account string) error {
	type reference struct {
		APIVersion string `json:"apiVersion"`
		Kind       string `json:"kind"`
		Name       string `json:"name"`
		UID        string `json:"uid"`
	}
	var owner struct {
		Metadata struct{ UID string } `json:"metadata"`
	}
	if err := c.Read(ctx, "serviceaccounts", account, &owner); err != nil {
		return err
	}
	references := []reference{{"v1", "ServiceAccount", account, owner.Metadata.UID}}
	return c.Merge(ctx, "pods", pod, map[string]any{"metadata": map[string]any{"ownerReferences": references}})
}

func (c *Client) path(kind string, name ...string) string {
	path := "/api/v1/namespaces/" + url.PathEscape(c.Namespace) + "/" + kind
	if len(name) > 0 {
		path += "/" + url.PathEscape(name[0])
	}
	return path
}

func (c *Client) call(ctx context.Context, method, path, kind string, body, into any) error {
	var content io.Reader = http.NoBody
	if body != nil {
		encoded, err := json.Marshal(body)
		if err != nil {
			return fmt.Errorf("encode %s %s: %w", method, path, err)
		}
		content = bytes.NewReader(encoded)
	}
	request, err := http.NewRequestWithContext(ctx, method, c.base+path, content)
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	token, err := os.ReadFile(filepath.Join(c.folder, "token")) // each time: Kubernetes renews it
	if err != nil {
		return fmt.Errorf("the service account's token: %w", err)
	}
	request.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	request.Header.Set("Accept", "application/json")
	request.Header.Set("User-Agent", "parley-steward")
	if kind != "" {
		request.Header.Set("Content-Type", kind)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return fmt.Errorf("%w: %w", errUnreachable, err)
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("%w: %w", errUnreachable, err)
	}
	if response.StatusCode >= http.StatusBadRequest {
		return refusal(response.StatusCode, method+" "+path, answer)
	}
	if into == nil {
		return nil
	}
	if err := json.Unmarshal(answer, into); err != nil {
		return fmt.Errorf("%s %s: the response is not the API server's: %w", method, path, err)
	}
	return nil
}

func refusal(status int, call string, answer []byte) error {
	var body struct{ Reason, Message string }
	if err := json.Unmarshal(answer, &body); err != nil || body.Message == "" {
		body.Message = fmt.Sprintf("%.200q", answer)
	}
	return &Error{Status: status, Call: call, Reason: body.Reason, Text: body.Message}
}
