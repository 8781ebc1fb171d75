package lobby

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/redis/go-redis/v9"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/metric"
)

// Source asks the service whose lobby it is: webapi.Client.
type Source interface {
	Post(ctx context.Context, path string, request, answer any) error
}

// Handler is told every event once, in the order of seqs, one at a time.
type Handler interface {
	HandleLobby(ctx context.Context, event Event)
}

// Times of a follower.
const (
	askEvery   = time.Second
	askTimeout = 2 * time.Second
	pageSize   = 1000
)

// Follower follows one lobby: live by its Redis stream, and by asking its service once a second,
// always, for what has not come. Redis away means up to a second of latency and nothing else.
type Follower struct {
	source  Source
	client  redis.UniversalClient
	name    string
	handler Handler
	log     *slog.Logger
	// OnRenewed is told, before the first event of a new log, that the service was restored from a
	// backup: what it told of before may never have happened. So too if events are missing because the
	// service has forgotten them by age. Set before Run; may be nil.
	OnRenewed func(ctx context.Context)
	// history is how far back a follower that starts must look: tokens of that age are still about.
	history time.Duration

	mu       sync.Mutex // held while an event is handled
	logID    chat.LogID
	at       chat.Seq  // handled up to here
	answered time.Time // when the source last answered
	head     chat.Seq  // by its last answer
	last     time.Time // when an event was handled
	asked    chan struct{}

	renewed prometheus.Counter // nil: not counted
}

// NewFollower makes a follower of the lobby called name, which first handles the events of the last
// history (0: none) and is then ready.
func NewFollower(source Source, client redis.UniversalClient, name string, history time.Duration, handler Handler, log *slog.Logger) *Follower {
	return &Follower{source: source, client: client, name: name, history: history, handler: handler, log: log, asked: make(chan struct{}, 1)}
}

// Register has it told, for a service, how it keeps up with the lobby.
func (f *Follower) Register(reg prometheus.Registerer, service string) {
	name, labels := "parley_"+service+"_lobby_", prometheus.Labels{"lobby": f.name}
	at := func(what *time.Time) func() time.Time {
		return func() time.Time {
			f.mu.Lock()
			defer f.mu.Unlock()
			return *what
		}
	}
	metric.Timestamp(reg, name+"heard_timestamp_seconds", "When the lobby's service last answered; 0 is never.", labels, at(&f.answered))
	metric.Timestamp(reg, name+"event_timestamp_seconds", "When an event of the lobby was last handled; 0 is never.", labels, at(&f.last))
	m := promauto.With(reg)
	m.NewGaugeFunc(prometheus.GaugeOpts{Name: name + "behind_events", Help: "Events that the lobby's service last told of and that are not handled yet.", ConstLabels: labels}, func() float64 {
		f.mu.Lock()
		defer f.mu.Unlock()
		return float64(max(0, f.head-f.at))
	})
	f.renewed = m.NewCounter(prometheus.CounterOpts{Name: name + "renewed_total", Help: "Times that the lobby could not be continued and was begun anew.", ConstLabels: labels})
}

// Heard is when the lobby's service last answered: up to there nothing is missing. Zero is never.
func (f *Follower) Heard() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.answered
}

// At is the seq up to which events are handled.
func (f *Follower) At() chat.Seq {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.at
}

// Run follows until ctx ends. It is ready when it has caught up for the first time.
func (f *Follower) Run(ctx context.Context, ready func()) error {
	if !f.start(ctx) {
		return nil
	}
	ready()
	client := separate(f.client)
	var streaming sync.WaitGroup
	streaming.Go(func() { f.followStream(ctx, client) })
	defer streaming.Wait()
	defer func() { _ = client.Close() }()

	ticker := time.NewTicker(askEvery)
	defer ticker.Stop()
	for failed := false; ; {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		case <-f.asked:
		}
		err := f.ask(ctx)
		if ctx.Err() != nil {
			continue
		}
		switch {
		case err != nil && !failed:
			f.log.WarnContext(ctx, "lobby service is unreachable", slog.String("lobby", f.name), slog.Any("error", err))
		case err == nil && failed:
			f.log.WarnContext(ctx, "lobby service is reachable again", slog.String("lobby", f.name))
		}
		failed = err != nil
	}
}

// start catches up for the first time, however long the service takes to come up.
func (f *Follower) start(ctx context.Context) bool {
	ticker := time.NewTicker(askEvery / 4)
	defer ticker.Stop()
	for tries := 0; ; tries++ {
		err := f.catchUp(ctx)
		if err == nil {
			return true
		}
		if tries%20 == 8 {
			f.log.WarnContext(ctx, "waiting for the lobby's service", slog.String("lobby", f.name), slog.Any("error", err))
		}
		select {
		case <-ctx.Done():
			return false
		case <-ticker.C:
		}
	}
}

// catchUp begins anew: with what the last history brought, or at the head.
func (f *Follower) catchUp(ctx context.Context) error {
	request := EventsRequest{Limit: pageSize, MaxAgeMS: f.history.Milliseconds()}
	if f.history == 0 {
		request.Limit = 0
	}
	page, err := f.page(ctx, request)
	if err != nil {
		return err
	}
	f.mu.Lock()
	f.logID, f.at = page.Log, page.Head
	if len(page.Events) > 0 {
		f.at = page.Events[0].Seq - 1
	}
	f.mu.Unlock()
	f.apply(ctx, page.Log, page.Events)
	return f.ask(ctx)
}

// ask fills what is missing, page by page, and so learns the head.
func (f *Follower) ask(ctx context.Context) error {
	for {
		asked := f.At() // the stream may go on while the answer is on its way
		page, err := f.page(ctx, EventsRequest{After: asked, Limit: pageSize})
		if err != nil {
			return err
		}
		f.mu.Lock()
		renamed := page.Log != f.logID || page.Head < asked
		forgotten := len(page.Events) > 0 && page.Events[0].Seq > asked+1
		f.mu.Unlock()
		if renamed || forgotten { // restored from a backup, or we were away for longer than it goes back: what it says now is all there is
			if f.renewed != nil {
				f.renewed.Inc()
			}
			f.log.WarnContext(ctx, "the lobby can't be continued; starting anew", slog.String("lobby", f.name), slog.Bool("renamed", renamed))
			if f.OnRenewed != nil {
				f.OnRenewed(ctx)
			}
			return f.catchUp(ctx)
		}
		f.apply(ctx, page.Log, page.Events)
		if f.At() >= page.Head || len(page.Events) == 0 {
			return nil
		}
	}
}

func (f *Follower) page(ctx context.Context, request EventsRequest) (Page, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	asked := time.Now()
	var page Page
	if err := f.source.Post(ctx, PathEvents, request, &page); err != nil {
		return page, err
	}
	f.mu.Lock()
	f.answered, f.head = asked, page.Head
	f.mu.Unlock()
	return page, nil
}

// apply handles the events that are next, and says whether a hole kept some back.
func (f *Follower) apply(ctx context.Context, log chat.LogID, events []Event) (hole bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, event := range events {
		switch {
		case log != f.logID || event.Seq > f.at+1:
			return true
		case event.Seq == f.at+1:
			f.handler.HandleLobby(ctx, event)
			f.at, f.last = event.Seq, time.Now()
		}
	}
	return false
}

// followStream handles events as Redis brings them.
func (f *Follower) followStream(ctx context.Context, client redis.UniversalClient) {
	pause := time.NewTimer(0)
	defer pause.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-pause.C:
		}
		wait := time.Duration(0)
		if err := f.readStream(ctx, client); err != nil && !errors.Is(err, redis.Nil) {
			wait = askEvery
		}
		pause.Reset(wait)
	}
}

func (f *Follower) readStream(ctx context.Context, client redis.UniversalClient) error {
	f.mu.Lock()
	log, at := f.logID, f.at
	f.mu.Unlock()
	streams, err := client.XRead(ctx, &redis.XReadArgs{
		Streams: []string{streamKey(f.name, log), strconv.FormatInt(int64(at), 10) + "-0"}, Count: pageSize, Block: askEvery,
	}).Result()
	if err != nil {
		return err
	}
	for _, s := range streams {
		events := decodeRun(s.Messages)
		if hole := f.apply(ctx, log, events); hole || len(events) < len(s.Messages) {
			f.askNow()
			return errors.New("a hole in the lobby's stream") //nolint:err113 // only makes the reader pause
		}
	}
	return nil
}

// decodeRun decodes events up to the first that is not understood: the range brings that one.
func decodeRun(messages []redis.XMessage) []Event {
	events := make([]Event, 0, len(messages))
	for _, m := range messages {
		var event Event
		text, _ := m.Values[fieldEvent].(string)
		id, ok := strings.CutSuffix(m.ID, "-0")
		seq, err := strconv.ParseInt(id, 10, 64)
		if !ok || err != nil || seq < 1 || seq > chat.MaxSeq || json.Unmarshal([]byte(text), &event) != nil || event.Seq != chat.Seq(seq) {
			break
		}
		events = append(events, event)
	}
	return events
}

func (f *Follower) askNow() {
	select {
	case f.asked <- struct{}{}:
	default:
	}
}
