package roomsclient

import (
	"context"
	"errors"
	"time"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/roomsapi"
	"github.com/parley-chat/parley/pkg/trace"
)

// Times of an append.
const (
	// patience is how long an append may wait, and how long it is tried, before its outcome is told as
	// unknown.
	patience = 2 * time.Second
	// attempt bounds one try, so that a pod that hangs leaves time for another.
	attempt = time.Second
	// inDoubtWindow is how long a batch may still be carried out by a pod that hung with it. The database
	// ends transactions that idle for half as long.
	inDoubtWindow = 10 * time.Second
)

// appender carries the batches of one lane, one at a time and in order. While the outcome of a batch is
// unknown it is sent again, to the next pod: every entry has a nonce, so it is stored once. A batch
// that had to be told as unknown is settled before anything else is sent, or no pod can carry it out any
// more, since what came after it could otherwise be stored before it.
type appender struct {
	client *Client
	pod    int // to be asked first; another one after each failure

	unsettled []pending
	since     time.Time // when they were told as unknown
	inDoubt   time.Time // when the last try ended that a pod may still carry out
}

// pending is an append in its lane.
type pending struct {
	roomsapi.Append

	waits trace.Span // there
}

// append is the lane's call.
func (a *appender) append(ctx context.Context, batch []pending) (outcomes []roomsapi.Outcome, err error) {
	a.client.batches.Observe(float64(len(batch)))
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	ctx, calls := a.follow(ctx, batch)
	defer func() { calls.end(outcomes, err) }()
	if !a.settle(ctx) {
		return nil, chat.Errorf(chat.CodeUnavailable, "what was sent before this is not settled yet, try again")
	}
	outcomes, a.unsettled = a.try(ctx, batch, false)
	a.since = time.Now()
	return outcomes, nil
}

// settle finds out what became of the entries that were told as unknown. It sends them again for a window, and
// each try may be carried out for another: so their lane is held up for two at most, however they are answered.
func (a *appender) settle(ctx context.Context) bool {
	if len(a.unsettled) == 0 || time.Since(a.inDoubt) >= inDoubtWindow {
		return true
	}
	if time.Since(a.since) < inDoubtWindow {
		_, a.unsettled = a.try(ctx, a.unsettled, true)
	}
	return len(a.unsettled) == 0
}

// calls are the spans of the entries of a batch that are traced, by their place in it.
type calls map[int]trace.Span

// follow begins them. What is called within the context that it returns belongs to the first of them: a batch has
// one way, whoever is in it.
func (a *appender) follow(ctx context.Context, batch []pending) (context.Context, calls) {
	var all calls
	var first trace.Span
	for i := range batch {
		if batch[i].Traceparent == "" {
			continue
		}
		batch[i].waits.End(nil)
		_, span := a.client.tracer.StartChild(trace.Extract(ctx, batch[i].Traceparent), trace.Client, "append call")
		if !span.IsRecording() {
			continue
		}
		span.SetInt("parley.batch.entries", int64(len(batch)))
		batch[i].Traceparent = span.Traceparent()
		if all == nil {
			first, all = span, calls{}
		}
		all[i] = span
	}
	return first.ContextWith(ctx), all
}

func (c calls) end(outcomes []roomsapi.Outcome, err error) {
	for i, span := range c {
		failed := err
		if i < len(outcomes) && outcomes[i].Error != nil {
			failed = outcomes[i].Error.Err()
		}
		span.End(failed)
	}
}

// try sends a batch, and again those of its entries whose outcome is unknown, until there are none, or it will
// not be told any more, or ctx ends. again says that it was sent before. It returns an outcome for every entry,
// and the entries whose outcome is still unknown.
func (a *appender) try(ctx context.Context, batch []pending, again bool) ([]roomsapi.Outcome, []pending) {
	outcomes := make([]roomsapi.Outcome, len(batch))
	open := make([]int, len(batch)) // the entries whose outcome is unknown
	for i := range open {
		open[i] = i
	}
	pause := time.NewTimer(0)
	defer pause.Stop()
	<-pause.C
	for tries := 0; ; tries++ {
		again = again || tries > 0
		sent := make([]roomsapi.Append, len(open))
		for n, i := range open {
			sent[n] = batch[i].Append
		}
		answers, err := a.once(ctx, sent)
		still, expired := open[:0], 0
		for n, i := range open {
			outcomes[i] = answer(answers, n, err)
			if !unknown(outcomes[i].Error, again) {
				continue
			}
			if err == nil && outcomes[i].Error.Code == chat.CodeUnauthenticated {
				expired++
			}
			outcomes[i] = roomsapi.Outcome{Error: outcomeUnknown()}
			still = append(still, i)
		}
		if open = still; len(open) == 0 {
			return outcomes, nil
		}
		if expired == len(open) { // that try is settled, those before it are not, and no other will be
			return outcomes, only(batch, open)
		}
		a.inDoubt = time.Now()
		a.pod++
		pause.Reset(time.Duration(min(tries, 4)) * 50 * time.Millisecond)
		select {
		case <-ctx.Done():
			return outcomes, only(batch, open)
		case <-pause.C:
			a.client.retries.Inc()
			trace.FromContext(ctx).AddEvent("again")
		}
	}
}

// only returns the entries of a batch at those places.
func only(batch []pending, places []int) []pending {
	entries := make([]pending, len(places))
	for n, i := range places {
		entries[n] = batch[i]
	}
	return entries
}

// answer is the outcome of entry n of what was sent.
func answer(answers []roomsapi.Outcome, n int, err error) roomsapi.Outcome {
	if err != nil {
		return roomsapi.Outcome{Error: roomsapi.FromError(err)}
	}
	if answers[n].Error == nil && answers[n].Seq < 1 { // it tells neither that it is stored nor that it is not
		return roomsapi.Outcome{Error: roomsapi.FromError(errShort)}
	}
	return answers[n]
}

// unknown says whether an entry that was answered with e may be stored, or may yet be. Once it has been
// tried before, its author's token may have ended since: then that is no word of the try before.
func unknown(e *roomsapi.Error, again bool) bool {
	if e == nil {
		return false
	}
	return e.Code == chat.CodeUnavailable || again && e.Code == chat.CodeUnauthenticated
}

func outcomeUnknown() *roomsapi.Error {
	return &roomsapi.Error{Code: chat.CodeUnavailable, Message: "no word of whether this was stored: send it again with the same nonce"}
}

func (a *appender) once(ctx context.Context, batch []roomsapi.Append) ([]roomsapi.Outcome, error) {
	ctx, cancel := context.WithTimeout(ctx, attempt)
	defer cancel()
	var answer roomsapi.AppendResponse
	start := time.Now()
	err := a.client.caller.PostOnce(ctx, a.pod, roomsapi.PathAppend, roomsapi.AppendRequest{Entries: batch}, &answer)
	a.client.called(roomsapi.PathAppend, start, err)
	if chat.CodeOf(err) == chat.CodeInternal { // a pod that broke over it: it may be stored
		err = errors.Join(chat.Errorf(chat.CodeUnavailable, "the rooms service failed"), err)
	}
	if err == nil && len(answer.Outcomes) != len(batch) {
		err = errShort
	}
	return answer.Outcomes, err
}
