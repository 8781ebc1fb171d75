package roomsclient

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/operation"
	"github.com/parley-chat/parley/pkg/roomsapi"
)

// pods answer appends like the rooms service: each nonce is stored once.
type pods struct {
	mu     sync.Mutex
	stored []string
	calls  []int // the pod of each call
	// fail is asked before a call is answered: an error, and whether it was carried out all the same.
	fail func(call int) (err error, carriedOut bool)
}

func (p *pods) Post(context.Context, string, any, any) error { return errors.New("not asked here") }

func (p *pods) PostOnce(ctx context.Context, pod int, _ string, request, answer any) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.calls = append(p.calls, pod)
	var failure error
	carryOut := true
	if p.fail != nil {
		failure, carryOut = p.fail(len(p.calls))
	}
	asked, _ := request.(roomsapi.AppendRequest)
	batch := asked.Entries
	outcomes := make([]roomsapi.Outcome, len(batch))
	for i, e := range batch {
		at := slices.Index(p.stored, e.Nonce)
		if at < 0 && carryOut {
			at = len(p.stored)
			p.stored = append(p.stored, e.Nonce)
		}
		outcomes[i].Seq = chat.Seq(at + 1)
	}
	if failure != nil {
		return failure
	}
	if a, ok := answer.(*roomsapi.AppendResponse); ok {
		a.Outcomes = outcomes
	}
	return ctx.Err()
}

func appendTo(c *Client, nonce string) (chat.Seq, error) {
	type result struct {
		seq chat.Seq
		err error
	}
	results := make(chan result, 1)
	c.Append(roomsapi.Append{Room: 3, Kind: roomsapi.KindSend, Request: operation.Request{Nonce: nonce}}, func(seq chat.Seq, err error) { results <- result{seq, err} })
	r := <-results
	return r.seq, r.err
}

func unavailable() error { return chat.Errorf(chat.CodeUnavailable, "away") }

func TestAnUnknownOutcomeIsAskedOfTheNextPodUntilItIsKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &pods{fail: func(call int) (error, bool) {
			if call <= 2 {
				return unavailable(), call == 1 // stored, but the answer was lost
			}
			return nil, true
		}}
		c := New(p, prometheus.NewRegistry(), nil)
		seq, err := appendTo(c, "n")
		if err != nil || seq != 1 || len(p.stored) != 1 {
			t.Error(seq, err, p.stored)
		}
		if len(p.calls) != 3 || p.calls[0] == p.calls[1] || p.calls[1] == p.calls[2] {
			t.Error("pods", p.calls)
		}
		c.Wait()
	})
}

func TestAfterTwoSecondsTheOutcomeIsToldAsUnknown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(&pods{fail: func(int) (error, bool) { return unavailable(), false }}, prometheus.NewRegistry(), nil)
		start := time.Now()
		_, err := appendTo(c, "n")
		if chat.CodeOf(err) != chat.CodeUnavailable || time.Since(start) > 3*time.Second {
			t.Error(err, time.Since(start))
		}
		c.Wait()
	})
}

func TestARefusalOfTheWholeBatchIsNotRepeated(t *testing.T) {
	p := &pods{fail: func(int) (error, bool) { return chat.Errorf(chat.CodeUnauthenticated, "credential"), false }}
	c := New(p, prometheus.NewRegistry(), nil)
	if _, err := appendTo(c, "n"); chat.CodeOf(err) != chat.CodeUnauthenticated || len(p.calls) != 1 {
		t.Error(err, p.calls)
	}
	c.Wait()
}

func TestOneRoomKeepsItsOrder(t *testing.T) {
	p := &pods{}
	c := New(p, prometheus.NewRegistry(), nil)
	var done sync.WaitGroup
	var want []string
	for i := range 500 {
		nonce := string(rune('a'+i%26)) + string(rune('0'+i/26))
		want = append(want, nonce)
		done.Add(1)
		c.Append(roomsapi.Append{Room: 3, Request: operation.Request{Nonce: nonce}}, func(chat.Seq, error) { done.Done() })
	}
	done.Wait()
	c.Wait()
	if !slices.Equal(p.stored, want) {
		t.Error("stored in another order")
	}
	if len(p.calls) == 500 {
		t.Error("nothing was gathered")
	}
}

// A pod hangs with the first message and carries it out when nobody waits for it any more: what was sent
// afterwards must not have overtaken it.
func TestWhatIsUnsettledIsSettledBeforeAnythingElseIsSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &pods{fail: func(call int) (error, bool) {
			if call <= 6 {
				time.Sleep(400 * time.Millisecond)
				return unavailable(), false
			}
			return nil, true
		}}
		c := New(p, prometheus.NewRegistry(), nil)
		if _, err := appendTo(c, "first"); chat.CodeOf(err) != chat.CodeUnavailable {
			t.Fatal(err)
		}
		if _, err := appendTo(c, "second"); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(p.stored, []string{"first", "second"}) {
			t.Error("stored", p.stored)
		}
		c.Wait()
	})
}

// expiring stores the first try without a word, and refuses the next ones, whose token has ended.
type expiring struct{ pods }

func (e *expiring) PostOnce(ctx context.Context, pod int, path string, request, answer any) error {
	if err := e.pods.PostOnce(ctx, pod, path, request, answer); err != nil {
		return err
	}
	if a, ok := answer.(*roomsapi.AppendResponse); ok {
		a.Outcomes[0] = roomsapi.Outcome{Error: &roomsapi.Error{Code: chat.CodeUnauthenticated}}
	}
	return nil
}

func TestATokenThatEndsBetweenTriesIsNoWordOfTheFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &expiring{pods{fail: func(call int) (error, bool) {
			if call == 1 {
				return unavailable(), true
			}
			return nil, true
		}}}
		c := New(e, prometheus.NewRegistry(), nil)
		if _, err := appendTo(c, "n"); !chat.OutcomeUnknown(err) {
			t.Error("told as not stored, and stored it is:", err, e.stored)
		}
		c.Wait()
	})
}

// hung answers late calls like a rooms service of which one pod hangs with every call that it gets in time: it
// carries that out after a while, when nobody waits for it any more.
type hung struct {
	pods

	start   time.Time
	until   time.Duration // calls that are made by then hang
	from    time.Duration // and those since then are carried out
	after   time.Duration // after that
	expired bool          // the first message's token, once it has been sent
}

func (h *hung) PostOnce(ctx context.Context, pod int, path string, request, answer any) error {
	asked, _ := request.(roomsapi.AppendRequest)
	if asked.Entries[0].Nonce != "first" {
		return h.pods.PostOnce(ctx, pod, path, request, answer)
	}
	if time.Since(h.start) > h.until {
		if a, ok := answer.(*roomsapi.AppendResponse); ok && h.expired {
			a.Outcomes = []roomsapi.Outcome{{Error: &roomsapi.Error{Code: chat.CodeUnauthenticated}}}
			return nil
		}
		return unavailable() // refused at the door, for all that the edge knows it was not
	}
	if time.Since(h.start) >= h.from {
		time.AfterFunc(h.after, func() { _ = h.pods.PostOnce(context.WithoutCancel(ctx), pod, path, request, nil) })
	}
	<-ctx.Done()
	return unavailable()
}

// A pod may still carry out what it hung with when another says that its author's token has ended, or when it was
// sent again since: nothing that was sent later may be stored before it, and the lane may not wait for ever.
func TestNothingOvertakesWhatAPodMayStillCarryOut(t *testing.T) {
	for name, c := range map[string]*hung{
		"the token ends":         {until: time.Second / 2, after: 8 * time.Second, expired: true},
		"the second try hangs":   {from: 7 * time.Second, until: 9 * time.Second, after: 9 * time.Second, expired: true},
		"nobody has word of it":  {from: 7 * time.Second, until: 9 * time.Second, after: 9 * time.Second},
		"no pod carries it out":  {until: -1, expired: true},
		"no pod answers to that": {until: -1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := &hung{start: time.Now(), from: c.from, until: c.until, after: c.after, expired: c.expired}
				client := New(h, prometheus.NewRegistry(), nil)
				_, _ = appendTo(client, "first")
				_, err := appendTo(client, "second")
				for err != nil {
					time.Sleep(100 * time.Millisecond)
					_, err = appendTo(client, "second")
				}
				if took := time.Since(h.start); took > 2*inDoubtWindow+2*patience {
					t.Error("the lane was held up for", took)
				}
				client.Wait()
				time.Sleep(h.after)
				synctest.Wait()
				if h.until > 0 && (len(h.stored) == 0 || h.stored[0] != "first") {
					t.Error("stored", h.stored)
				}
			})
		})
	}
}
