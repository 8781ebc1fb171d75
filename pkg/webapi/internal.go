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

// Client calls the internal listeners of another service. Its pods are equals, and take turns. Run keeps it
// informed of where they are; before that only pods at known addresses can be called.
type Client struct {
	pods       *pods
	credential string
	turn       atomic.Uint32
}

// Dial opens connections; nil is TCP. The standalone server dials its own process.
type Dial func(ctx context.Context, network, address string) (net.Conn, error)

// maxAnswer bounds what is read of an answer, in bytes.
const maxAnswer = 64 << 20

// NewClient makes a client for the pods at urls: of each URL all the addresses that its host has.
func NewClient(urls []string, credential string, dial Dial, log *slog.Logger) *Client {
	c := &Client{pods: newPods(urls, dial, log), credential: credential}
	c.turn.Store(rand.Uint32()) //nolint:gosec // only spreads
	return c
}

// Run looks up every few seconds where the pods are, and gives back the idle connections when ctx ends.
func (c *Client) Run(ctx context.Context, ready func()) error {
	ready()
	c.pods.run(ctx)
	return nil
}

// tryFor bounds one try of a call that may be made again elsewhere: a pod that hangs must leave time for
// the others.
const tryFor = time.Second

// Post sends request as JSON to path and reads the answer, for calls that may safely be made twice:
// what one pod can't answer, or not now, the next is asked. An error of the service comes back as the
// chat.Error that it was; a service out of reach is CodeUnavailable.
func (c *Client) Post(ctx context.Context, path string, request, answer any) error {
	known, err := c.pods.all(ctx)
	if err != nil {
		return err
	}
	order := inTurn(known, int(c.turn.Add(1)%uint32(len(known)))) //nolint:gosec // a handful of pods
	return c.try(ctx, order, path, request, answer, tryFor, func(err error) bool {
		return ctx.Err() == nil && failed(err)
	})
}

// PostOnce sends request to one pod, by number, or to the next one if that can't be connected to.
// What was sent is never sent again: CodeUnavailable then means that nobody can tell whether the
// call was carried out.
func (c *Client) PostOnce(ctx context.Context, pod int, path string, request, answer any) error {
	known, err := c.pods.all(ctx)
	if err != nil {
		return err
	}
	pod %= len(known)
	return c.try(ctx, slices.Concat(known[pod:], known[:pod]), path, request, answer, 0, notSent)
}

// try asks pods in order while again says so, each but the last for at most limit if there is one.
func (c *Client) try(ctx context.Context, order []*pod, path string, request, answer any, limit time.Duration, again func(error) bool) error {
	body, err := json.Marshal(request)
	if err != nil {
		return fmt.Errorf("encode the call of %s: %w", path, err)
	}
	for n, one := range order {
		if n == len(order)-1 {
			limit = 0
		}
		err = c.post(ctx, one, path, body, answer, limit)
		if !errors.Is(err, context.Canceled) {
			one.answered(!failed(err))
		}
		if notSent(err) {
			c.pods.resolveSoon()
		}
		if err == nil || !again(err) {
			break
		}
	}
	if _, answered := errors.AsType[*chat.Error](err); err == nil || answered {
		return err
	}
	return unreachable(err)
}

func unreachable(err error) error {
	return fmt.Errorf("%w (%w)", chat.Errorf(chat.CodeUnavailable, "a part of Parley can't be reached just now"), err)
}

func (c *Client) post(ctx context.Context, to *pod, path string, body []byte, answer any, limit time.Duration) error {
	if limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, limit)
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
	// Without GetBody net/http can't send the call again by itself on a connection that broke.
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
		return fmt.Errorf("call %s: status %d", url, status) //nolint:err113 // carries what is known
	}
	return &chat.Error{
		Code: f.Error.Code, Message: f.Error.Message, Details: f.Error.Details,
		RetryAfter: chat.Wait(f.Error.RetryAfterMS),
	}
}

// failed says that another pod might do better.
func failed(err error) bool {
	refused, answered := errors.AsType[*chat.Error](err)
	return err != nil && (!answered || refused.Code == chat.CodeUnavailable)
}

// notSent says that no byte of the call can have reached anybody.
func notSent(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "dial"
}
