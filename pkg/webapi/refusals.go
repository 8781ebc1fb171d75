package webapi

import (
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/gofiber/fiber/v2"
	"golang.org/x/time/rate"
)

// For each kind of refusal, refusalBurst lines are logged at once, and then one line per refusalInterval.
const (
	refusalBurst    = 10
	refusalInterval = 10 * time.Second
)

// refusalLog logs refused requests: wrong passwords, foreign origins, rate limits. Attackers control how many there
// are, so it only logs some, each with the number of lines suppressed before it. Metrics count all.
type refusalLog struct {
	logger *slog.Logger

	mu    sync.Mutex
	kinds map[refusalKind]*refusalState
}

// refusalKind is a route and a status; both are closed sets.
type refusalKind struct {
	route  string
	status int
}

type refusalState struct {
	limiter    *rate.Limiter
	suppressed int // since the last line
}

func newRefusalLog(log *slog.Logger) *refusalLog {
	return &refusalLog{logger: log, kinds: map[refusalKind]*refusalState{}}
}

// log logs the response if it is a refusal. A 401 to a read is not: the caller just has to sign in first.
func (r *refusalLog) log(c *fiber.Ctx, status int) {
	reads := c.Method() == http.MethodGet || c.Method() == http.MethodHead
	if status != http.StatusForbidden && status != http.StatusTooManyRequests && (status != http.StatusUnauthorized || reads) {
		return
	}
	kind := refusalKind{route(c), status}
	if allowed, suppressed := r.allow(kind); allowed {
		attrs := []slog.Attr{
			slog.String("method", method(c)), slog.String("route", kind.route), slog.Int("status", status),
			slog.String("client", ClientIP(c).String()), slog.Int("suppressed", suppressed),
		}
		if status == http.StatusForbidden { // shows a proxy that passes on the wrong Host
			attrs = append(attrs, slog.String("origin", truncate(c.Get(fiber.HeaderOrigin))), slog.String("host", truncate(string(c.Request().Header.Host()))))
		}
		r.logger.LogAttrs(c.UserContext(), slog.LevelInfo, "request refused", attrs...)
	}
}

// truncate bounds how much of a client's text is logged.
func truncate(text string) string {
	const maxBytes = 200
	return text[:min(len(text), maxBytes)]
}

// allow reports whether a refusal may be logged, and how many of its kind were suppressed since the last line.
func (r *refusalLog) allow(kind refusalKind) (allowed bool, suppressed int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.kinds[kind]
	if s == nil {
		s = &refusalState{limiter: rate.NewLimiter(rate.Every(refusalInterval), refusalBurst)}
		r.kinds[kind] = s
	}
	if !s.limiter.Allow() {
		s.suppressed++
		return false, 0
	}
	suppressed, s.suppressed = s.suppressed, 0
	return true, suppressed
}
