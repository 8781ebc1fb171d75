package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/fasthttp/websocket"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/wire"
)

// connect opens a connection and waits for the server's hello. The token stale is not used again.
func (s *Socket) connect(ctx context.Context, stale string) (*link, error) {
	ctx, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel()
	token, err := s.options.Tokens.Token(ctx, stale)
	if chat.CodeOf(err) == chat.CodeUnauthenticated {
		return nil, fmt.Errorf("%w: %w", errNoToken, err)
	}
	if err != nil {
		return nil, err
	}
	dialer := websocket.Dialer{NetDialContext: s.options.Dial, ReadBufferSize: socketBuffer, WriteBufferSize: socketBuffer}
	header := http.Header{"Authorization": {"Bearer " + token.Access}}
	conn, response, err := dialer.DialContext(ctx, "ws"+strings.TrimPrefix(s.options.Base, "http")+"/ws", header) //nolint:bodyclose // handshakeRefusal closes it
	if err != nil {
		return nil, &lostError{token: token.Access, cause: handshakeRefusal(response, err)}
	}
	l := &link{
		conn: conn, wake: make(chan struct{}, 1), closed: make(chan struct{}), token: token, renewAt: renewAt(token),
		rejoining: map[*room]bool{}, waiters: map[int64]waiter{}, rejoinAt: map[*room]time.Time{},
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	err = l.hello()
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		_ = conn.Close()
		return nil, &lostError{token: token.Access, cause: err}
	}
	return l, nil
}

func (l *link) hello() error {
	_ = l.conn.SetReadDeadline(time.Now().Add(handshakeTimeout))
	_, frame, err := l.conn.ReadMessage()
	if err != nil {
		return err
	}
	var hello wire.Hello
	if err := json.Unmarshal(frame, &hello); err != nil || hello.Type != "hello" {
		return fmt.Errorf("the first frame is not a hello: %.100q", frame)
	}
	l.heartbeat = time.Duration(hello.HeartbeatMS) * time.Millisecond
	sendPong := l.conn.PingHandler()
	l.conn.SetPingHandler(func(data string) error {
		l.extendDeadline()
		return sendPong(data)
	})
	l.extendDeadline()
	return nil
}

// lostError is the error of a connection that failed or was lost.
type lostError struct {
	token string // the access token that it used
	cause error
}

func (e *lostError) Error() string { return e.cause.Error() }
func (e *lostError) Unwrap() error { return e.cause }

// staleToken returns the token if err means that the server refused it, else "".
func staleToken(err error) string {
	lost, ok := errors.AsType[*lostError](err)
	if !ok {
		return ""
	}
	if websocket.IsCloseError(lost.cause, int(wire.CloseUnauthenticated)) {
		return lost.token
	}
	if refused, ok := errors.AsType[*chat.Error](lost.cause); ok && refused.Code == chat.CodeUnauthenticated {
		return lost.token
	}
	return ""
}

// retryFloor returns the delay that the server asked for.
func retryFloor(err error) time.Duration {
	if websocket.IsCloseError(err, int(wire.CloseFlooding)) {
		return floodDelay
	}
	if refused, ok := errors.AsType[*chat.Error](err); ok {
		return refused.RetryAfter
	}
	return 0
}

// handshakeRefusal returns the error in the response to a handshake that failed.
func handshakeRefusal(response *http.Response, err error) error {
	if response == nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	content, _ := io.ReadAll(io.LimitReader(response.Body, socketBuffer))
	if refused := refusal(response.Status, content); chat.CodeOf(refused) != chat.CodeUnavailable || response.StatusCode == http.StatusServiceUnavailable {
		return refused
	}
	if response.StatusCode == http.StatusUnauthorized {
		return chat.Errorf(chat.CodeUnauthenticated, "the server answers %s; sign in again", response.Status)
	}
	return fmt.Errorf("the server answers %s: %w", response.Status, err)
}
