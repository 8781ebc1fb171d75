package webapi

import (
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/gofiber/fiber/v2"
	"golang.org/x/time/rate"
)

// Of the refusals of one kind so many are logged at once, and then one each time.
const (
	refusalsAtOnce = 10
	refusalsEvery  = 10 * time.Second
)

// refusals logs who was not let in: wrong passwords, foreign origins, limits. Strangers decide how many there
// are, so only some are logged, with the number of those that were not; all are counted.
type refusals struct {
	logger *slog.Logger

	mu    sync.Mutex
	kinds map[refusal]*told
}

// refusal is a kind of refusals, of which there are few.
type refusal struct {
	route  string
	status int
}

type told struct {
	bucket *rate.Limiter
	untold int
}

func newRefusals(log *slog.Logger) *refusals {
	return &refusals{logger: log, kinds: map[refusal]*told{}}
}

// log logs the answer if it is a refusal. That somebody who asks for something has yet to sign in is none.
func (r *refusals) log(c *fiber.Ctx, status int) {
	reads := c.Method() == http.MethodGet || c.Method() == http.MethodHead
	if status != http.StatusForbidden && status != http.StatusTooManyRequests && (status != http.StatusUnauthorized || reads) {
		return
	}
	kind := refusal{route(c), status}
	if tell, untold := r.turn(kind); tell {
		attrs := []slog.Attr{
			slog.String("method", method(c)), slog.String("route", kind.route), slog.Int("status", status),
			slog.String("client", ClientIP(c).String()), slog.Int("untold", untold),
		}
		if status == http.StatusForbidden { // where it is the origin, whoever set up the proxy needs both
			attrs = append(attrs, slog.String("origin", short(c.Get(fiber.HeaderOrigin))), slog.String("host", short(string(c.Request().Header.Host()))))
		}
		r.logger.LogAttrs(c.UserContext(), slog.LevelInfo, "request refused", attrs...)
	}
}

// short is the beginning of what a stranger wrote.
func short(text string) string {
	const enough = 200
	return text[:min(len(text), enough)]
}

// turn says whether a refusal may be told, and how many like it were not.
func (r *refusals) turn(kind refusal) (tell bool, untold int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.kinds[kind]
	if t == nil {
		t = &told{bucket: rate.NewLimiter(rate.Every(refusalsEvery), refusalsAtOnce)}
		r.kinds[kind] = t
	}
	if !t.bucket.Allow() {
		t.untold++
		return false, 0
	}
	untold, t.untold = t.untold, 0
	return true, untold
}
