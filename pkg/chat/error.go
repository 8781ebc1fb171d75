package chat

import (
	"errors"
	"fmt"
	"time"
)

// Code classifies an error for whoever must act on it; the same on every transport.
type Code string

// The codes of PROTOCOL.md. On a send, edit or delete CodeUnavailable and CodeInternal mean
// "unknown, send the same nonce again"; every other code means "not stored".
const (
	CodeBadRequest      Code = "bad_request"
	CodeUnauthenticated Code = "unauthenticated"
	CodeForbidden       Code = "forbidden"
	CodeNotFound        Code = "not_found"
	CodeConflict        Code = "conflict"
	CodeTooLarge        Code = "too_large"
	CodeRateLimited     Code = "rate_limited"
	CodeUnavailable     Code = "unavailable"
	CodeInternal        Code = "internal"
)

// Error is what may be told to a client. Anything else is CodeInternal: logged whole, shown blank.
type Error struct {
	Code       Code
	Message    string
	RetryAfter time.Duration
	Details    map[string]any
}

// Error returns the message with its code.
func (e *Error) Error() string { return string(e.Code) + ": " + e.Message }

// ErrorBody is an Error as JSON: in frames, in answers by HTTP and between services.
type ErrorBody struct {
	Code         Code           `json:"code"`
	Message      string         `json:"message"`
	RetryAfterMS int64          `json:"retry_after_ms,omitempty"`
	Details      map[string]any `json:"details,omitempty"`
}

// BodyOf is what may be told of err, which is not nil.
func BodyOf(err error) ErrorBody {
	e := Public(err)
	return ErrorBody{Code: e.Code, Message: e.Message, RetryAfterMS: e.RetryAfter.Milliseconds(), Details: e.Details}
}

// Err returns the error that b tells of, nil for nil.
func (b *ErrorBody) Err() error {
	if b == nil {
		return nil
	}
	if b.Code == "" {
		return Errorf(CodeInternal, "an error without a code")
	}
	return &Error{Code: b.Code, Message: b.Message, RetryAfter: Wait(b.RetryAfterMS), Details: b.Details}
}

// longestWait bounds what another process may have us wait.
const longestWait = time.Hour

// Wait is how long a retry_after_ms of the wire asks to be left alone: not less than nothing, and an
// hour at most.
func Wait(ms int64) time.Duration {
	return time.Duration(min(max(ms, 0), longestWait.Milliseconds())) * time.Millisecond
}

// Errorf makes an Error with a message for people.
func Errorf(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// Public returns the Error in err's chain, or a blank CodeInternal for what is not classified.
func Public(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return &Error{Code: CodeInternal, Message: "something went wrong on our side"}
}

// CodeOf returns the code of err, "" for nil.
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	return Public(err).Code
}

// Unknown says whether a command that failed with err may have been stored all the same.
func Unknown(err error) bool {
	code := CodeOf(err)
	return code == CodeUnavailable || code == CodeInternal
}
