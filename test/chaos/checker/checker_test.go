package checker

import (
	"slices"
	"testing"
	"time"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/roomsapi"
	"github.com/parley-chat/parley/test/chaos/history"
)

func at(second int) time.Time { return time.Date(2026, 11, 20, 12, 0, second, 0, time.UTC) }

// good is a talk in which all is well: ada sent n1, n3 and n4 and edited n3 by entry 5; ben sent n2
// without learning of it, so again; n1 was deleted by entry 6. Ada saw everything from 2 on.
func good() *history.History {
	operation := func(client, nonce string, acked chat.Seq, second int) history.Operation {
		return history.Operation{Client: client, Author: chat.UserID(client), Room: "r", Kind: roomsapi.KindSend, Nonce: nonce, Acked: acked, Started: at(second), Answered: at(second)}
	}
	message := func(seq chat.Seq, client, nonce string, version int) *history.Seen {
		return &history.Seen{Kind: history.KindMessage, Seq: seq, ID: seq, Author: chat.UserID(client), Nonce: nonce, Body: history.Body(nonce, version)}
	}
	edit, deletion := operation("ada", "n3", 5, 5), operation("ada", "n1", 6, 6)
	edit.Kind, edit.Message, edit.Version = roomsapi.KindEdit, 3, 1
	deletion.Kind, deletion.Message = roomsapi.KindDelete, 1
	again := operation("ben", "n2", 2, 3)
	again.Resent = true
	edited := message(3, "ada", "n3", 1)
	edited.Kind, edited.Seq = history.KindEdited, 5
	log := &history.Log{Room: "r", Name: "L", Rows: []history.Row{
		{Seq: 1, Kind: history.KindMessage, Message: 1, Author: "ada", Nonce: "n1", Deleted: true},
		{Seq: 2, Kind: history.KindMessage, Message: 2, Author: "ben", Nonce: "n2", Body: history.Body("n2", 0)},
		{Seq: 3, Kind: history.KindMessage, Message: 3, Author: "ada", Nonce: "n3", Body: history.Body("n3", 1)},
		{Seq: 4, Kind: history.KindMessage, Message: 4, Author: "ada", Nonce: "n4", Body: history.Body("n4", 0)},
		{Seq: 5, Kind: history.KindEdited, Message: 3, Author: "ada"},
		{Seq: 6, Kind: history.KindDeleted, Message: 1, Author: "ada"},
	}}
	observation := &history.Observation{Client: "ada", Room: "r", Segments: []*history.Segment{{
		Log: "L", Start: 1, Open: true, Whole: true, Snapshot: []*history.Seen{message(1, "ada", "n1", 0)},
		Entries: []*history.Seen{message(2, "ben", "n2", 0), message(3, "ada", "n3", 0), message(4, "ada", "n4", 0), edited, {Kind: history.KindDeleted, Seq: 6, ID: 1, Deleted: true}},
	}}}
	fresh := []chat.Message{{ID: 1, Author: chat.Author{ID: "ada"}, Nonce: "n1", Deleted: true}}
	for _, r := range log.Rows[1:4] {
		fresh = append(fresh, chat.Message{ID: r.Seq, Author: chat.Author{ID: r.Author}, Nonce: r.Nonce, Body: r.Body})
	}
	return &history.History{
		Epochs:       []history.Epoch{{Logs: map[chat.Slug]*history.Log{"r": log}}},
		Operations:   []history.Operation{operation("ada", "n1", 1, 1), operation("ben", "n2", 0, 2), again, operation("ada", "n3", 3, 3), operation("ada", "n4", 4, 4), edit, deletion},
		Observations: []*history.Observation{observation}, Fresh: map[chat.Slug][]chat.Message{"r": fresh},
	}
}

// restored is the good talk after a restore from a backup that was started at second 3 and had entries
// 1 to 3; the services served again from second 10 on. Ben then sent n9.
func restored() *history.History {
	e := good()
	old := e.Epochs[0].Logs["r"]
	log := &history.Log{Room: "r", Name: "M", Rows: slices.Clone(old.Rows[:3])}
	log.Rows[0].Deleted, log.Rows[0].Body = false, history.Body("n1", 0)
	log.Rows[2].Body = history.Body("n3", 0)
	log.Rows = append(log.Rows, history.Row{Seq: 4, Kind: history.KindMessage, Message: 4, Author: "ben", Nonce: "n9", Body: history.Body("n9", 0)})
	e.Epochs = append(e.Epochs, history.Epoch{Began: at(10), BackupBegan: at(3), Logs: map[chat.Slug]*history.Log{"r": log}})
	e.Operations = append(e.Operations, history.Operation{Client: "ben", Author: "ben", Room: "r", Kind: roomsapi.KindSend, Nonce: "n9", Acked: 4, Started: at(12), Answered: at(12)})
	s := e.Observations[0]
	s.Segments[0].Open = false
	s.Breaks = []history.Break{{Log: "L", JoinedLog: "M", After: 6, Joined: 4}}
	s.Segments = append(s.Segments, &history.Segment{Log: "M", Start: 4, Open: true})
	e.Fresh = nil
	return e
}

// The invariants find what they are for, and the first that is found is named after it.
func TestInvariantsFindPlantedViolations(t *testing.T) {
	for name, c := range map[string]struct {
		plant func(e *history.History, log *history.Log, part *history.Segment)
		found string // the invariant that is first, "" for none
	}{
		"nothing":           {func(*history.History, *history.Log, *history.Segment) {}, ""},
		"hole in the log":   {func(_ *history.History, log *history.Log, _ *history.Segment) { log.Rows[5].Seq = 7 }, history.Contiguous},
		"same nonce twice":  {func(_ *history.History, log *history.Log, _ *history.Segment) { log.Rows[3].Nonce = "n1" }, history.Once},
		"lost ack":          {func(e *history.History, _ *history.Log, _ *history.Segment) { e.Operations[4].Acked = 7 }, history.AckedKept},
		"lost edit":         {func(_ *history.History, log *history.Log, _ *history.Segment) { log.Rows[4].Message = 2 }, history.AckedKept},
		"lost delete":       {func(_ *history.History, log *history.Log, _ *history.Segment) { log.Rows[5].Kind = "notice" }, history.AckedKept},
		"acked as another":  {func(e *history.History, _ *history.Log, _ *history.Segment) { e.Operations[3].Acked = 4 }, history.AckedKept},
		"author is another": {func(_ *history.History, log *history.Log, _ *history.Segment) { log.Rows[3].Author = "ben" }, history.AckedKept},
		"sent again, another id": {func(e *history.History, _ *history.Log, _ *history.Segment) {
			e.Operations[1].Acked = 4
			e.Operations[1].Nonce = "n2"
		}, history.AckedKept},
		"refused and there": {func(e *history.History, _ *history.Log, _ *history.Segment) {
			e.Operations[4].Acked, e.Operations[4].Refused = 0, chat.Errorf(chat.CodeForbidden, "no")
		}, history.RefusedNot},
		"refused one's own": {func(e *history.History, _ *history.Log, _ *history.Segment) {
			e.Operations[5].Acked, e.Operations[5].Refused = 0, chat.Errorf(chat.CodeNotFound, "no")
		}, history.RefusedNot},
		"sender's order": {func(e *history.History, _ *history.Log, _ *history.Segment) {
			e.Operations[3], e.Operations[4] = e.Operations[4], e.Operations[3]
		}, history.SenderOrder},
		"hole on the wire": {func(e *history.History, _ *history.Log, _ *history.Segment) {
			e.Problems = []history.Violation{{Invariant: history.WireOrder}}
		}, history.WireOrder},
		"delivered after left": {func(e *history.History, _ *history.Log, _ *history.Segment) {
			e.Problems = []history.Violation{{Invariant: history.NothingAfterLeft}}
		}, history.NothingAfterLeft},
		"cursor forgotten": {func(e *history.History, _ *history.Log, _ *history.Segment) {
			e.Observations[0].Breaks = []history.Break{{Log: "L", JoinedLog: "L", After: 2, Joined: 6}}
		}, history.Recovered},
		"renamed for nothing": {func(e *history.History, _ *history.Log, _ *history.Segment) {
			e.Observations[0].Breaks = []history.Break{{Log: "K", JoinedLog: "L", After: 2, Joined: 6}}
		}, history.Recovered},
		"hole in what was applied": {func(_ *history.History, _ *history.Log, part *history.Segment) {
			part.Entries = slices.Delete(part.Entries, 1, 2)
		}, history.Applied},
		"double": {func(_ *history.History, _ *history.Log, part *history.Segment) {
			part.Entries = slices.Insert(part.Entries, 1, part.Entries[0])
		}, history.Applied},
		"reorder": {func(_ *history.History, _ *history.Log, part *history.Segment) {
			part.Entries[0], part.Entries[1] = part.Entries[1], part.Entries[0]
		}, history.Applied},
		"another body": {func(_ *history.History, _ *history.Log, part *history.Segment) {
			part.Entries[0].Body = history.Body("n4", 0)
		}, history.AsLogged},
		"another author": {func(_ *history.History, _ *history.Log, part *history.Segment) { part.Entries[0].Author = "ada" }, history.AsLogged},
		"an edit that was none": {func(_ *history.History, _ *history.Log, part *history.Segment) {
			part.Entries[1].Body = history.Body("n3", 2)
		}, history.AsLogged},
		"the edit shows the old": {func(_ *history.History, _ *history.Log, part *history.Segment) {
			part.Entries[3].Body = history.Body("n3", 0)
		}, history.AsLogged},
		"the replay shows the old": {func(_ *history.History, _ *history.Log, part *history.Segment) { part.Entries[1].ReplayedTo = 5 }, history.AsLogged},
		"the replay shows the gone": {func(e *history.History, log *history.Log, part *history.Segment) {
			log.Rows[5].Message, log.Rows[1].Deleted, e.Operations[6].Message, part.Entries[0].ReplayedTo = 2, true, 2, 6
			part.Entries[4].ID = 2
		}, history.AsLogged},
		"deleted too soon": {func(_ *history.History, _ *history.Log, part *history.Segment) { part.Entries[0].Deleted = true }, history.AsLogged},
		"beyond the log": {func(_ *history.History, _ *history.Log, part *history.Segment) {
			part.Entries = append(part.Entries, &history.Seen{Seq: 7})
		}, history.AsLogged},
		"a log of no name": {func(_ *history.History, _ *history.Log, part *history.Segment) { part.Log = "K" }, history.AsLogged},
		"stopped early":    {func(_ *history.History, _ *history.Log, part *history.Segment) { part.Entries = part.Entries[:3] }, history.ReachedEnd},
		"stopped early, having left": {func(_ *history.History, _ *history.Log, part *history.Segment) {
			part.Entries, part.Open = part.Entries[:3], false
		}, ""},
		"loads otherwise": {func(e *history.History, _ *history.Log, _ *history.Segment) {
			e.Fresh["r"][2].Body = history.Body("n3", 0)
		}, history.SameAfresh},
		"loads less": {func(e *history.History, _ *history.Log, _ *history.Segment) { e.Fresh["r"] = e.Fresh["r"][:3] }, history.SameAfresh},
		"loads more": {func(e *history.History, _ *history.Log, part *history.Segment) { part.Snapshot = nil }, history.SameAfresh},
		"no answer": {func(e *history.History, _ *history.Log, _ *history.Segment) {
			e.Problems = []history.Violation{{Invariant: history.Answered}}
		}, history.Answered},
	} {
		t.Run(name, func(t *testing.T) {
			e := good()
			c.plant(e, e.Epochs[0].Logs["r"], e.Observations[0].Segments[0])
			first(t, e, c.found)
		})
	}
}

func TestInvariantsAfterARestore(t *testing.T) {
	for name, c := range map[string]struct {
		plant func(e *history.History, log *history.Log, part *history.Segment)
		found string
	}{
		"nothing but what the backup lacks":   {func(*history.History, *history.Log, *history.Segment) {}, ""},
		"lost though acked before the backup": {func(_ *history.History, log *history.Log, _ *history.Segment) { log.Rows[0].Nonce = "n0" }, history.AckedKept},
		"lost though acked afterwards":        {func(e *history.History, _ *history.Log, _ *history.Segment) { e.Operations[7].Acked = 5 }, history.AckedKept},
		"lost before the restore": {func(e *history.History, _ *history.Log, _ *history.Segment) {
			e.Epochs[0].Logs["r"].Rows[3].Nonce = "n0"
		}, history.AckedKept},
		"sent again, stored anew": {func(e *history.History, log *history.Log, _ *history.Segment) { again(e, log, "n4") }, ""},
		"sent again, after what came later": {func(e *history.History, log *history.Log, _ *history.Segment) {
			again(e, log, "n3")
			log.Rows[2].Nonce, log.Rows[2].Author = "n7", "ada"
			e.Operations[3].Acked, e.Operations[3].Answered = 3, at(4) // after the backup was started
			later := e.Operations[7]
			later.Client, later.Author, later.Nonce, later.Acked = "ada", "ada", "n7", 3
			e.Operations = append(e.Operations[:8:8], later, e.Operations[8])
		}, ""},
		"sent again, stored twice": {func(e *history.History, log *history.Log, _ *history.Segment) { again(e, log, "n3") }, history.Once},
		"resumed across": {func(e *history.History, _ *history.Log, _ *history.Segment) {
			e.Problems = []history.Violation{{Invariant: history.Recovered}}
		}, history.Recovered},
		"stayed with the old": {func(e *history.History, _ *history.Log, part *history.Segment) {
			e.Observations[0].Segments = e.Observations[0].Segments[:1]
			part.Open = true
		}, history.ReachedEnd},
		"shows what is gone": {func(e *history.History, _ *history.Log, _ *history.Segment) {
			seen := *e.Observations[0].Segments[0].Entries[2]
			e.Observations[0].Segments[1] = &history.Segment{Log: "M", Start: 3, Open: true, Entries: []*history.Seen{&seen}}
		}, history.AsLogged},
	} {
		t.Run(name, func(t *testing.T) {
			e := restored()
			c.plant(e, e.Epochs[1].Logs["r"], e.Observations[0].Segments[0])
			first(t, e, c.found)
		})
	}
}

// again has ada send a message again after the restore, which is stored as 5.
func again(e *history.History, log *history.Log, nonce string) {
	e.Operations = append(e.Operations, history.Operation{Client: "ada", Author: "ada", Room: "r", Kind: roomsapi.KindSend, Nonce: nonce, Acked: 5, Resent: true, Started: at(13), Answered: at(13)})
	log.Rows = append(log.Rows, history.Row{Seq: 5, Kind: history.KindMessage, Message: 5, Author: "ada", Nonce: nonce, Body: history.Body(nonce, 0)})
	part := e.Observations[0].Segments[1]
	part.Entries = append(part.Entries, &history.Seen{Kind: history.KindMessage, Seq: 5, ID: 5, Author: "ada", Nonce: nonce, Body: history.Body(nonce, 0)})
}

func first(t *testing.T, e *history.History, want string) {
	t.Helper()
	violations := Check(e)
	switch {
	case want == "" && len(violations) > 0:
		t.Error(violations)
	case want != "" && len(violations) == 0:
		t.Error("found nothing")
	case want != "" && violations[0].Invariant != want:
		t.Error(violations)
	}
	if len(violations) > 0 && e.Around(violations[0]) == "" && violations[0].Room != "" {
		t.Error("nothing is around", violations[0])
	}
}
