package faults

import (
	"context"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/client"
	"github.com/parley-chat/parley/test/chaos/history"
	"github.com/parley-chat/parley/test/chaos/workload"
	"github.com/parley-chat/parley/test/harness"
)

// External says where a Parley runs that is not ours to harm, and who may make rooms there.
type External struct {
	URL                 string
	AdminName, Password string
}

// RunExternal has the clients talk at a Parley somewhere and checks what they saw by HTTP. Nothing is
// harmed but the clients' own sockets; whoever runs the place may harm it meanwhile. Once they talk, the end
// of ctx ends the talk, not the run: what they saw is checked.
func RunExternal(ctx context.Context, o Options, at External) (*Report, error) {
	progress := harness.NewProgress(o.Out)
	people := &people{base: at.URL, api: client.NewHTTP(at.URL, &http.Client{Timeout: 20 * time.Second})}
	admin, err := people.admin(ctx, at.AdminName, at.Password)
	if err != nil {
		return nil, err
	}
	const probes = 2
	rooms, err := people.makeRooms(ctx, admin, o.Seed, o.Rooms+probes)
	if err != nil {
		return nil, err
	}
	defer func() {
		for _, room := range rooms {
			_ = people.api.DeleteRoom(context.WithoutCancel(ctx), admin.AccessToken, room)
		}
	}()
	until := ctx
	ctx = context.WithoutCancel(ctx)
	began := time.Now()
	t, err := workload.Start(ctx, workload.Options{
		Base: at.URL, Rooms: rooms[:o.Rooms], RoomsEach: roomsEach, Clients: o.Clients, Rate: o.Rate, Patience: o.Patience,
		Random: rand.New(rand.NewPCG(o.Seed, 1)), SignIn: people.signIn, //nolint:gosec // to be repeated by its seed
	})
	if err != nil {
		return nil, err
	}
	defer t.End()
	m := newMeter()
	listening, stopProbes, err := startProbes(ctx, people, m, rooms[o.Rooms:], nil, probes)
	if err != nil {
		return nil, err
	}
	defer stopProbes()
	progress.Say("%d guests talk in %d rooms at %s; seed %d", o.Clients, o.Rooms, at.URL, o.Seed)
	cutSockets(until, o, t, listening, m, progress)
	progress.Say("enough: %d messages are acked; now what everybody saw is checked", t.Progress().Acked)
	t.Quiet()
	stopProbes()
	reader, err := people.reader(ctx)
	if err != nil {
		return nil, err
	}
	if err = reached(ctx, t, reader, rooms[:o.Rooms], o.Patience); err != nil {
		return nil, err
	}
	logs, err := logsOf(ctx, reader, rooms[:o.Rooms])
	if err != nil {
		return nil, err
	}
	recorded, err := gather(ctx, t, reader, []history.Epoch{{Logs: logs}}, rooms[:o.Rooms])
	if err != nil {
		return nil, err
	}
	report := conclude(o, recorded, t.Progress(), m, time.Since(began))
	report.URL = at.URL
	return report, nil
}

// reached waits until every client saw the end of its rooms, but not for ever.
func reached(ctx context.Context, w *workload.Workload, reader *workload.Loader, rooms []chat.Slug, patience time.Duration) error {
	deadline := time.Now().Add(patience)
	for {
		heads := map[chat.Slug]client.Cursor{}
		for _, room := range rooms {
			cursor, err := reader.Head(ctx, room)
			if err != nil {
				return err
			}
			heads[room] = cursor
		}
		if w.Behind(heads) == 0 || time.Now().After(deadline) {
			return nil
		}
		if err := harness.Pause(ctx, time.Second/2); err != nil {
			return err
		}
	}
}

// cutSockets cuts the clients' sockets until there were enough messages and faults, or ctx ends.
func cutSockets(ctx context.Context, o Options, w *workload.Workload, probes []*probe, m *meter, progress *harness.Progress) {
	for done := 0; ctx.Err() == nil && (done < o.Faults || w.Progress().Acked < o.Messages); done++ {
		m.begin("sockets cut")
		w.Sockets.Cut(3)
		for _, p := range probes {
			p.cut()
		}
		cut := time.Now()
		for !m.servedSince(cut, len(probes)) && time.Since(cut) < o.Patience && harness.Pause(ctx, 20*time.Millisecond) == nil {
		}
		gap := m.end()
		m.settle()
		progress.Say("fault %d: sockets cut: acks %s, deliveries %s; %d acked", done+1, millis(gap.Ack), millis(gap.Delivery), w.Progress().Acked)
		_ = harness.Pause(ctx, time.Second+time.Duration(rand.Int64N(int64(2*time.Second)))) //nolint:gosec // any moment will do
	}
}

func logsOf(ctx context.Context, reader *workload.Loader, rooms []chat.Slug) (map[chat.Slug]*history.Log, error) {
	logs := map[chat.Slug]*history.Log{}
	for _, room := range rooms {
		log, err := reader.Log(ctx, room)
		if err != nil {
			return nil, err
		}
		logs[room] = log
	}
	return logs, nil
}
