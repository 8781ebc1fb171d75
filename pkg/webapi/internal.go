package webapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/trace"
)

// Client calls the internal listeners of another service. Its pods are equals: a call goes to the
// one that answered last, and to the next when that can't be reached.
type Client struct {
	http       *http.Client
	urls       []string
	credential string
	current    atomic.Uint32
}

// Dial opens connections; nil is TCP. The standalone server dials its own process.
type Dial func(ctx context.Context, network, address string) (net.Conn, error)

// maxAnswer bounds what is read of an answer, in bytes.
const maxAnswer = 64 << 20

// NewClient makes a client for the pods at urls.
func NewClient(urls []string, credential string, dial Dial) *Client {
	if dial == nil {
		dial = (&net.Dialer{Timeout: time.Second, KeepAlive: 15 * time.Second}).DialContext
	}
	transport := &http.Transport{
		DialContext: dial, MaxIdleConns: 256, MaxIdleConnsPerHost: 128, IdleConnTimeout: time.Minute,
		ResponseHeaderTimeout: 30 * time.Second, DisableCompression: true,
	}
	return &Client{http: &http.Client{Transport: transport}, urls: urls, credential: credential}
}

// Pods is how many pods there are to choose from.
func (c *Client) Pods() int { return len(c.urls) }

// tryFor bounds one try of a call that may be made again elsewhere: a pod that hangs must leave time for
// the others.
const tryFor = time.Second

// Post sends request as JSON to path and reads the answer, for calls that may safely be made twice:
// what one pod can't answer, or not now, the next is asked. An error of the service comes back as the
// chat.Error that it was; a service out of reach is CodeUnavailable.
func (c *Client) Post(ctx context.Context, path string, request, answer any) error {
	return c.try(ctx, int(c.current.Load()), path, request, answer, len(c.urls) > 1, func(err error) bool {
		refused, answered := errors.AsType[*chat.Error](err)
		return ctx.Err() == nil && (!answered || refused.Code == chat.CodeUnavailable)
	})
}

// PostOnce sends request to one pod, by number, or to the next one if that can't be connected to.
// What was sent is never sent again: CodeUnavailable then means that nobody can tell whether the
// call was carried out.
func (c *Client) PostOnce(ctx context.Context, pod int, path string, request, answer any) error {
	return c.try(ctx, pod, path, request, answer, false, notSent)
}

func (c *Client) try(ctx context.Context, pod int, path string, request, answer any, bounded bool, again func(error) bool) error {
	body, err := json.Marshal(request)
	if err != nil {
		return fmt.Errorf("encode the call of %s: %w", path, err)
	}
	for n := range c.urls {
		at := (pod + n) % len(c.urls)
		err = c.post(ctx, c.urls[at]+path, body, answer, bounded && n < len(c.urls)-1)
		if err == nil || !again(err) {
			break
		}
		c.current.Store(uint32((at + 1) % len(c.urls))) //nolint:gosec // a handful of pods
	}
	if _, answered := errors.AsType[*chat.Error](err); err == nil || answered {
		return err
	}
	return fmt.Errorf("%w (%w)", chat.Errorf(chat.CodeUnavailable, "a part of Parley can't be reached just now"), err)
}

func (c *Client) post(ctx context.Context, url string, body []byte, answer any, bounded bool) error {
	if bounded {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, tryFor)
		defer cancel()
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("call %s: %w", url, err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", "Bearer "+c.credential)
	trace.Inject(ctx, request.Header)
	// Without GetBody net/http can't send the call again by itself on a connection that broke.
	request.GetBody = nil
	response, err := c.http.Do(request)
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
		return fmt.Errorf("call %s: status %d", url, status) //nolint:err113 // carries what is known
	}
	return &chat.Error{
		Code: f.Error.Code, Message: f.Error.Message, Details: f.Error.Details,
		RetryAfter: chat.Wait(f.Error.RetryAfterMS),
	}
}

// notSent says that no byte of the call can have reached anybody.
func notSent(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "dial"
}

// Close gives back the idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }
