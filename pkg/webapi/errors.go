package webapi

import (
	"errors"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strconv"

	"github.com/gofiber/fiber/v2"

	"github.com/parley-chat/parley/pkg/chat"
)

// status is the only mapping from error codes to HTTP statuses.
func status(code chat.Code) int {
	switch code {
	case chat.CodeBadRequest:
		return http.StatusBadRequest
	case chat.CodeUnauthenticated:
		return http.StatusUnauthorized
	case chat.CodeForbidden:
		return http.StatusForbidden
	case chat.CodeNotFound:
		return http.StatusNotFound
	case chat.CodeConflict:
		return http.StatusConflict
	case chat.CodeTooLarge:
		return http.StatusRequestEntityTooLarge
	case chat.CodeRateLimited:
		return http.StatusTooManyRequests
	case chat.CodeUnavailable:
		return http.StatusServiceUnavailable
	case chat.CodeInternal:
		return http.StatusInternalServerError
	}
	return http.StatusInternalServerError
}

// Failure is the body of every error response.
type Failure struct {
	Error FailureError `json:"error"`
}

// FailureError is the error of a Failure.
type FailureError struct {
	Code         chat.Code      `json:"code"`
	Message      string         `json:"message"`
	RetryAfterMS int64          `json:"retry_after_ms,omitempty"`
	Details      map[string]any `json:"details,omitempty"`
}

// errorHandler writes the response for err. An unclassified error is logged in full, and clients see none of it.
func errorHandler(log *slog.Logger, common commonHeaders) fiber.ErrorHandler {
	return func(c *fiber.Ctx, err error) error {
		if c.GetRespHeader(fiber.HeaderXRequestID) == "" { // fasthttp refused the request itself, such as a body that is too large
			common.set(&c.Response().Header)
		}
		shown, code := classify(err)
		if code >= http.StatusInternalServerError && shown.Code == chat.CodeInternal {
			log.ErrorContext(c.UserContext(), "request failed", slog.String("method", c.Method()), slog.String("path", c.Path()), slog.Any("error", err))
		}
		if shown.RetryAfter > 0 {
			c.Set(fiber.HeaderRetryAfter, strconv.Itoa(int(shown.RetryAfter.Seconds())+1))
		}
		return c.Status(code).JSON(Failure{FailureError{shown.Code, shown.Message, shown.RetryAfter.Milliseconds(), shown.Details}})
	}
}

// classify gives every error a code. Fiber's own errors only have a status.
func classify(err error) (*chat.Error, int) {
	if e, ok := errors.AsType[*chat.Error](err); ok {
		return e, status(e.Code)
	}
	e, ok := errors.AsType[*fiber.Error](err)
	if !ok {
		return chat.Public(err), http.StatusInternalServerError
	}
	switch {
	case e.Code == http.StatusNotFound:
		return chat.Errorf(chat.CodeNotFound, "there is no such path; check the URL"), e.Code
	case e.Code == http.StatusRequestEntityTooLarge || e.Code == http.StatusRequestHeaderFieldsTooLarge:
		return chat.Errorf(chat.CodeTooLarge, "the request is too large"), http.StatusRequestEntityTooLarge
	case e.Code >= http.StatusBadRequest && e.Code < http.StatusInternalServerError:
		return chat.Errorf(chat.CodeBadRequest, "%s", http.StatusText(e.Code)), e.Code
	default:
		return chat.Public(err), http.StatusInternalServerError
	}
}

func stack() string { return string(debug.Stack()) }
