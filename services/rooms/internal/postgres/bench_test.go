package postgres

import (
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/lobby"
	"github.com/parley-chat/parley/pkg/operation"
	"github.com/parley-chat/parley/pkg/roomsapi"
	"github.com/parley-chat/parley/services/rooms/internal/directory"
	"github.com/parley-chat/parley/services/rooms/internal/ledger"
	"github.com/parley-chat/parley/services/rooms/internal/storetest"
)

type silent struct{}

func (silent) Publish(chat.TenantID, chat.LogID, []roomsapi.Entry) {}
func (silent) Drop(chat.TenantID, chat.LogID)                      {}
func (silent) Announce(chat.LogID, []lobby.Event)                  {}

// BenchmarkAppend appends messages of 100 bytes, in batches over several rooms, from several lanes
// at once. PARLEY_TEST_POSTGRES should name a server with fsync on.
func BenchmarkAppend(b *testing.B) {
	for _, c := range []struct{ lanes, rooms, batch int }{{1, 1, 1}, {8, 1, 1}, {1, 1, 50}, {1, 10, 50}, {4, 10, 50}, {8, 10, 50}, {8, 10, 200}} {
		b.Run(fmt.Sprintf("lanes=%d/rooms=%d/batch=%d", c.lanes, c.rooms, c.batch), func(b *testing.B) {
			benchmarkAppend(b, c.lanes, c.rooms, c.batch)
		})
	}
}

func benchmarkAppend(b *testing.B, lanes, rooms, batch int) {
	store := open(b, storetest.Postgres(b)+"&pool_max_conns=16")
	log := slog.New(slog.DiscardHandler)
	l := ledger.New(ledger.Deps{Store: store, Bus: silent{}, Log: log, Registry: prometheus.NewRegistry(), Now: time.Now})
	d := directory.New(directory.Deps{Store: store, Ledger: l, Log: log, Registry: prometheus.NewRegistry()})
	author := chat.User{ID: "u-1234567890123456789012", Name: "Somebody", Kind: chat.KindUser, Staff: true}
	ids := make([][]chat.RoomID, lanes)
	for lane := range lanes {
		for n := range rooms {
			room, err := d.Create(b.Context(), directory.Caller{Tenant: chat.DefaultTenant, User: &author}, directory.Draft{Slug: chat.Slug(fmt.Sprint("r-", lane, "-", n)), Name: "x"})
			if err != nil {
				b.Fatal(err)
			}
			ids[lane] = append(ids[lane], room.ID)
		}
	}
	body := strings.Repeat("x", 100)
	var next, nonce atomic.Int64
	b.SetParallelism((lanes + 1) / 2)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		mine := ids[int(next.Add(1)-1)%lanes]
		entries := make([]ledger.Entry, batch)
		for pb.Next() {
			for i := range entries {
				entries[i] = ledger.Entry{
					Tenant: chat.DefaultTenant, Author: author, Room: mine[i%len(mine)], Kind: operation.NameSend,
					Request: operation.Request{Nonce: fmt.Sprintf("%032x", nonce.Add(1)), Body: body},
				}
			}
			for _, o := range l.Append(b.Context(), entries) {
				if o.Err != nil {
					b.Fatal(o.Err)
				}
			}
		}
	})
	b.ReportMetric(float64(b.N*batch)/b.Elapsed().Seconds(), "messages/s")
}
