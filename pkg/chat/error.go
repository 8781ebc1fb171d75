package chat

import (
	"errors"
	"fmt"
	"time"
)

// Code classifies an error. Every transport uses the same codes.
type Code string

// The error codes of the wire contract. On a send, edit or delete, CodeUnavailable and CodeInternal mean
// "outcome unknown, send the same nonce again"; every other code means "not stored".
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

// Error is an error that clients may see. Any other error is logged in full, and clients only see
// CodeInternal.
type Error struct {
	Code       Code
	Message    string
	RetryAfter time.Duration
	Details    map[string]any
}

// Error returns the message with its code.
func (e *Error) Error() string { return string(e.Code) + ": " + e.Message }

// maxRetryAfter bounds the delay that another process can ask for.
const maxRetryAfter = time.Hour

// RetryAfter converts a retry_after_ms from the wire to a duration between zero and an hour.
func RetryAfter(ms int64) time.Duration {
	return time.Duration(min(max(ms, 0), maxRetryAfter.Milliseconds())) * time.Millisecond
}

// Errorf makes an Error with a formatted message.
func Errorf(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// Public returns the Error in err's chain. For any other error it returns a CodeInternal that reveals nothing.
func Public(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return &Error{Code: CodeInternal, Message: "something went wrong on the server; try again"}
}

// CodeOf returns the code of err, "" for nil.
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	return Public(err).Code
}

// OutcomeUnknown reports whether a command that failed with err may have been stored all the same.
func OutcomeUnknown(err error) bool {
	code := CodeOf(err)
	return code == CodeUnavailable || code == CodeInternal
}
