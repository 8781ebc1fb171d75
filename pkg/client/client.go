// Package client speaks Parley's wire contract from Go: HTTP for accounts, rooms and history, and a
// socket that stays connected, resumes by cursor and sends each message once however often it must
// try. Tests, load generators and bots are built on it; it copes with thousands of sockets in one process.
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
)

// maxAnswer bounds what is read of an answer.
const maxAnswer = 16 << 20

// HTTP makes Parley's HTTP calls. What the server refuses is a *chat.Error with the server's code; what
// never got an answer, or one that is not Parley's, is a *chat.Error with chat.CodeUnavailable.
type HTTP struct {
	base string
	http *http.Client
}

// NewHTTP calls the Parley at base, such as "https://chat.example.org", through client.
func NewHTTP(base string, client *http.Client) *HTTP {
	return &HTTP{base: strings.TrimRight(base, "/"), http: client}
}

// call sends body (nil: none) as JSON and reads the answer into into (nil: dropped). An empty token is
// nobody's.
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
		return chat.Errorf(chat.CodeUnavailable, "%s %s: the answer is not Parley's: %v", method, path, err)
	}
	return nil
}

// refusal reads an answer in the error's form.
func refusal(status string, content []byte) error {
	var body struct {
		Error chat.ErrorBody `json:"error"`
	}
	if err := json.Unmarshal(content, &body); err != nil || body.Error.Code == "" {
		return chat.Errorf(chat.CodeUnavailable, "the server answers %s", status)
	}
	return body.Error.Err()
}
