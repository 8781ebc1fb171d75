package webapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/trace"
)

// Client calls the internal API of another service and balances the calls over its pods. Run keeps the pods'
// addresses up to date; until Run starts, only URLs with an IP address can be called.
type Client struct {
	pods       *pods
	credential string
	next       atomic.Uint32 // the pod that the next call starts with
}

// Dial opens connections; nil means TCP. The standalone server dials its own process.
type Dial func(ctx context.Context, network, address string) (net.Conn, error)

// maxAnswer bounds how many bytes of a response are read.
const maxAnswer = 64 << 20

// NewClient makes a client for the pods at urls. Every address of a URL's host is a pod.
func NewClient(urls []string, credential string, dial Dial, log *slog.Logger) *Client {
	c := &Client{pods: newPods(urls, dial, log), credential: credential}
	c.next.Store(rand.Uint32()) //nolint:gosec // only spreads load
	return c
}

// Run looks the pods' addresses up every few seconds. It closes idle connections when ctx ends.
func (c *Client) Run(ctx context.Context, ready func()) error {
	ready()
	c.pods.run(ctx)
	return nil
}

// attemptTimeout bounds one attempt of a call that another pod can retry: a pod that hangs must leave time for
// the others.
const attemptTimeout = time.Second

// Post sends request as JSON to path and reads the answer. It is for calls that are safe to repeat: if a pod
// fails or is unavailable, Post asks the next one. An error of the service is returned as a chat.Error; if no
// pod can be reached, the error is CodeUnavailable.
func (c *Client) Post(ctx context.Context, path string, request, answer any) error {
	known, err := c.pods.all(ctx)
	if err != nil {
		return err
	}
	order := callOrder(known, int(c.next.Add(1)%uint32(len(known)))) //nolint:gosec // a handful of pods
	return c.try(ctx, order, path, request, answer, attemptTimeout, func(err error) bool {
		return ctx.Err() == nil && failed(err)
	})
}

// PostOnce sends request to the pod with that number, or to the next one if it can't be connected to. It never
// repeats a request that was sent: after CodeUnavailable the outcome of the call is unknown.
func (c *Client) PostOnce(ctx context.Context, pod int, path string, request, answer any) error {
	known, err := c.pods.all(ctx)
	if err != nil {
		return err
	}
	pod %= len(known)
	return c.try(ctx, slices.Concat(known[pod:], known[:pod]), path, request, answer, 0, notSent)
}

// try calls pods in order until one succeeds or retryable rejects the error. Every attempt but the last is bounded
// by timeout; 0 means no bound.
func (c *Client) try(ctx context.Context, order []*pod, path string, request, answer any, timeout time.Duration, retryable func(error) bool) error {
	body, err := json.Marshal(request)
	if err != nil {
		return fmt.Errorf("encode the call of %s: %w", path, err)
	}
	for n, p := range order {
		if n == len(order)-1 {
			timeout = 0
		}
		err = c.post(ctx, p, path, body, answer, timeout)
		if !errors.Is(err, context.Canceled) {
			p.recordResult(!failed(err))
		}
		if notSent(err) {
			c.pods.resolveSoon()
		}
		if err == nil || !retryable(err) {
			break
		}
	}
	if _, answered := errors.AsType[*chat.Error](err); err == nil || answered {
		return err
	}
	return unreachable(err)
}

func unreachable(err error) error {
	return fmt.Errorf("%w (%w)", chat.Errorf(chat.CodeUnavailable, "a service of Parley can't be reached right now; try again"), err)
}

func (c *Client) post(ctx context.Context, to *pod, path string, body []byte, answer any, timeout time.Duration) error {
	if timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, timeout)
		defer cancel()
	}
	url := to.url + path
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("call %s: %w", url, err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", "Bearer "+c.credential)
	trace.Inject(ctx, request.Header)
	// Without GetBody, net/http can't repeat the request by itself after a connection broke.
	request.GetBody = nil
	response, err := to.http.Do(request)
	if err != nil {
		return fmt.Errorf("call %s: %w", url, err)
	}
	defer func() { _ = response.Body.Close() }()
	content, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("read the answer of %s: %w", url, err)
	}
	if response.StatusCode >= http.StatusBadRequest {
		return failure(url, response.StatusCode, content)
	}
	if err := json.Unmarshal(content, answer); err != nil {
		return fmt.Errorf("read the answer of %s: %w", url, err)
	}
	return nil
}

func failure(url string, status int, content []byte) error {
	var f Failure
	if err := json.Unmarshal(content, &f); err != nil || f.Error.Code == "" {
		return fmt.Errorf("call %s: status %d", url, status) //nolint:err113 // the status is all that is known
	}
	return &chat.Error{
		Code: f.Error.Code, Message: f.Error.Message, Details: f.Error.Details,
		RetryAfter: chat.RetryAfter(f.Error.RetryAfterMS),
	}
}

// failed reports whether another pod might succeed.
func failed(err error) bool {
	refused, answered := errors.AsType[*chat.Error](err)
	return err != nil && (!answered || refused.Code == chat.CodeUnavailable)
}

// notSent reports whether no byte of the request was sent.
func notSent(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "dial"
}
