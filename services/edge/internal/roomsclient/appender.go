package roomsclient

import (
	"context"
	"errors"
	"time"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/roomsapi"
)

// Times of an append.
const (
	// patience is how long an append may wait, and how long it is tried, before its outcome is told as
	// unknown.
	patience = 2 * time.Second
	// attempt bounds one try, so that a pod that hangs leaves time for another.
	attempt = time.Second
	// haunting is how long a batch of unknown outcome may still be carried out by a pod that hung with
	// it. The database ends transactions that idle for half as long.
	haunting = 10 * time.Second
)

// appender carries the batches of one lane, one at a time and in order. While the outcome of a batch is
// unknown it is sent again, to the next pod: every entry has a nonce, so it is stored once. A batch
// that had to be told as unknown is settled before anything else is sent, since what came after it
// could otherwise be stored before it.
type appender struct {
	client *Client
	pod    int // to be asked first; another one after each failure

	unsettled []roomsapi.Append
	since     time.Time // when it was told as unknown
}

// append is the lane's call.
func (a *appender) append(ctx context.Context, batch []roomsapi.Append) ([]roomsapi.Outcome, error) {
	a.client.batches.Observe(float64(len(batch)))
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if len(a.unsettled) > 0 && time.Since(a.since) < haunting {
		if _, err := a.try(ctx, a.unsettled); chat.Unknown(err) {
			return nil, errors.Join(chat.Errorf(chat.CodeUnavailable, "what was sent before this is not settled yet, try again"), err)
		}
	}
	a.unsettled = nil
	outcomes, err := a.try(ctx, batch)
	if chat.Unknown(err) {
		a.unsettled, a.since = batch, time.Now()
		return nil, errors.Join(chat.Errorf(chat.CodeUnavailable, "no word of whether this was stored: send it again with the same nonce"), err)
	}
	return outcomes, err
}

// try sends a batch until its outcome is known or ctx ends.
func (a *appender) try(ctx context.Context, batch []roomsapi.Append) ([]roomsapi.Outcome, error) {
	pause := time.NewTimer(0)
	defer pause.Stop()
	<-pause.C
	for tries := 0; ; tries++ {
		outcomes, err := a.once(ctx, batch)
		if err == nil || !chat.Unknown(err) {
			return outcomes, err
		}
		a.pod++
		pause.Reset(time.Duration(min(tries, 4)) * 50 * time.Millisecond)
		select {
		case <-ctx.Done():
			return nil, err
		case <-pause.C:
			a.client.retries.Inc()
		}
	}
}

func (a *appender) once(ctx context.Context, batch []roomsapi.Append) ([]roomsapi.Outcome, error) {
	ctx, cancel := context.WithTimeout(ctx, attempt)
	defer cancel()
	var answer roomsapi.AppendResponse
	err := a.client.caller.PostOnce(ctx, a.pod, roomsapi.PathAppend, roomsapi.AppendRequest{Entries: batch}, &answer)
	if err == nil && len(answer.Outcomes) != len(batch) {
		err = errShort
	}
	for i := range answer.Outcomes {
		if o := answer.Outcomes[i].Error; err == nil && o != nil && o.Code == chat.CodeUnavailable {
			err = o.Err() // the database is away or has not said what became of the commit
		}
	}
	return answer.Outcomes, err
}
