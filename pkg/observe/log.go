package observe

import (
	"context"
	"fmt"
	"io"
	"log/slog"

	"github.com/parley-chat/parley/pkg/env"
	"github.com/parley-chat/parley/pkg/trace"
)

// LogConfig configures the logger.
type LogConfig struct {
	Level  slog.Level
	Format string
}

// LogConfigFrom reads PARLEY_LOG_LEVEL and PARLEY_LOG_FORMAT. Services pass "json" as the default format, the
// standalone server passes "text".
func LogConfigFrom(r *env.Reader, formatDefault string) LogConfig {
	var c LogConfig
	level := r.String("PARLEY_LOG_LEVEL", "info", "The lowest level that is logged: debug, info, warn or error.")
	if err := c.Level.UnmarshalText([]byte(level)); err != nil {
		r.Mistake("PARLEY_LOG_LEVEL: %q is not debug, info, warn or error", level)
	}
	c.Format = r.String("PARLEY_LOG_FORMAT", formatDefault, "The format of log lines: json or text.")
	if c.Format != "json" && c.Format != "text" {
		r.Mistake("PARLEY_LOG_FORMAT: %q is not json or text", c.Format)
	}
	return c
}

// NewLogger returns a logger that writes to w. Each line has the request id and trace id of its context.
func NewLogger(w io.Writer, c LogConfig) *slog.Logger {
	options := &slog.HandlerOptions{Level: c.Level}
	if c.Format == "text" {
		return slog.New(contextual{slog.NewTextHandler(w, options)})
	}
	return slog.New(contextual{slog.NewJSONHandler(w, options)})
}

type requestKey struct{}

// WithRequest returns a context whose log lines have the request id.
func WithRequest(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, requestKey{}, id)
}

// contextual adds the ids of the context to each log line.
type contextual struct{ slog.Handler }

// Handle implements slog.Handler.
func (h contextual) Handle(ctx context.Context, record slog.Record) error {
	if id, ok := ctx.Value(requestKey{}).(string); ok {
		record.AddAttrs(slog.String("request_id", id))
	}
	if id := trace.FromContext(ctx).TraceID(); id != "" {
		record.AddAttrs(slog.String("trace_id", id))
	}
	if err := h.Handler.Handle(ctx, record); err != nil {
		return fmt.Errorf("write a log line: %w", err)
	}
	return nil
}

// WithAttrs implements slog.Handler.
func (h contextual) WithAttrs(attrs []slog.Attr) slog.Handler {
	return contextual{h.Handler.WithAttrs(attrs)}
}

// WithGroup implements slog.Handler.
func (h contextual) WithGroup(name string) slog.Handler { return contextual{h.Handler.WithGroup(name)} }
