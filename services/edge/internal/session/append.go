package session

import (
	"context"
	"crypto/rand"
	"time"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/metric"
	"github.com/parley-chat/parley/pkg/operation"
	"github.com/parley-chat/parley/pkg/roomsapi"
)

// append checks what an operation asks for and hands it to the room's lane. Its answer follows when it is
// committed.
func (s *Session) append(_ context.Context, o *operation.Operation, c call) error {
	r, err := s.joinedRoom(c.Room)
	if err != nil {
		return err
	}
	a := roomsapi.Append{Room: r.ID, Kind: o.Name}
	if a.Request, err = o.Read(c.Command, c.frame); err != nil {
		return err
	}
	if a.Nonce == "" && !o.Requires(operation.FieldNonce) {
		a.Nonce = rand.Text() // so that the lane may send it again
	}
	if err = o.Check(a.Request); err == nil {
		err = s.limited(s.limits.Send(r.ID, a.Cost()))
	}
	if err != nil {
		return err
	}
	s.mu.Lock()
	a.Token = s.token
	s.mu.Unlock()
	if c.span.IsRecording() {
		c.span.SetInt("parley.room", int64(r.ID))
		c.span.SetString("parley.user", string(s.User().ID))
		a.Traceparent = c.span.Traceparent()
	}
	start := time.Now()
	c.frame = nil // not kept while the answer is awaited
	s.Rooms.Append(a, func(seq chat.Seq, err error) {
		if err == nil {
			r.Acked(seq)
		}
		metric.Since(s.Metrics.acks.WithLabelValues(c.Type), start, c.span.TraceID())
		s.answered(c, err)
		if err == nil {
			s.reply(o.Answer.Frame(c.ID, c.Room, seq))
		}
	})
	return errDeferred
}
