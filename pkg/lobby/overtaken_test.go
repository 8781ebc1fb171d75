package lobby

import (
	"context"
	"log/slog"
	"testing"
	"time"
)

type overtaken struct {
	f     *Follower
	calls int
}

// Post answers with the head as of the question; event 2 comes by the stream before the answer arrives.
func (o *overtaken) Post(ctx context.Context, _ string, _, answer any) error {
	page, _ := answer.(*Page)
	page.Log, page.Head = "L", 2
	if o.calls++; o.calls > 1 {
		return nil
	}
	page.Head = 1
	o.f.apply(ctx, "L", []Event{{Seq: 2, Kind: RoomCreated}})
	return nil
}

type deafHandler struct{}

func (deafHandler) HandleLobby(context.Context, Event) {}

func TestAnAnswerOvertakenByTheStreamIsNoRenewal(t *testing.T) {
	o := &overtaken{}
	f := NewFollower(o, nil, OfRooms, time.Duration(0), deafHandler{}, slog.New(slog.DiscardHandler))
	o.f, f.logID, f.at = f, "L", 1
	f.OnRenewed = func(context.Context) { t.Error("every socket of this edge is told to go") }
	if err := f.ask(t.Context()); err != nil {
		t.Fatal(err)
	}
}
