// Package client is Parley's Go client: HTTP for accounts, rooms and history, and a socket that reconnects,
// resumes by cursor and stores each message exactly once however often it retries. Tests, load generators and
// bots use it; one process can run thousands of sockets.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/wire"
)

// maxAnswer bounds how many bytes of a response are read.
const maxAnswer = 16 << 20

// HTTP makes Parley's HTTP calls. If the server refuses a call, the error is a *chat.Error with the server's code.
// If there is no response, or one that is not Parley's, it is a *chat.Error with chat.CodeUnavailable.
type HTTP struct {
	base string
	http *http.Client
}

// NewHTTP returns an HTTP for the server at base, such as "https://chat.example.org".
func NewHTTP(base string, client *http.Client) *HTTP {
	return &HTTP{base: strings.TrimRight(base, "/"), http: client}
}

// call sends body as JSON and reads the response into into; both may be nil. With an empty token the call is
// anonymous.
func (c *HTTP) call(ctx context.Context, method, path, token string, body, into any) error {
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
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := c.http.Do(request)
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return chat.Errorf(chat.CodeUnavailable, "%s %s: %v", method, path, err)
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return chat.Errorf(chat.CodeUnavailable, "%s %s: answer: %v", method, path, err)
	}
	if response.StatusCode >= http.StatusBadRequest {
		return refusal(response.Status, answer)
	}
	if into == nil {
		return nil
	}
	if err := json.Unmarshal(answer, into); err != nil {
		return chat.Errorf(chat.CodeUnavailable, "%s %s: the response is not Parley's; check the base URL: %v", method, path, err)
	}
	return nil
}

// refusal converts an error response to an error.
func refusal(status string, content []byte) error {
	var body struct {
		Error wire.Error `json:"error"`
	}
	if err := json.Unmarshal(content, &body); err != nil || body.Error.Code == "" {
		return chat.Errorf(chat.CodeUnavailable, "the server answers %s, without an error of Parley's; check the base URL and the proxy", status)
	}
	return asError(body.Error)
}

func asError(e wire.Error) *chat.Error {
	return &chat.Error{Code: e.Code, Message: e.Message, RetryAfter: chat.RetryAfter(e.RetryAfterMS), Details: e.Details}
}
