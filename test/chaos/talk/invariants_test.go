package talk

import (
	"slices"
	"testing"
	"time"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/roomsapi"
)

func at(second int) time.Time { return time.Date(2026, 11, 20, 12, 0, second, 0, time.UTC) }

// good is a talk in which all is well: ada sent n1, n3 and n4 and edited n3 by entry 5; ben sent n2
// without learning of it, so again; n1 was deleted by entry 6. Ada saw everything from 2 on.
func good() *Evidence {
	deed := func(who, nonce string, acked chat.Seq, second int) Deed {
		return Deed{Who: who, Author: chat.UserID(who), Room: "r", Kind: roomsapi.KindSend, Nonce: nonce, Acked: acked, Begun: at(second), Answered: at(second)}
	}
	message := func(seq chat.Seq, who, nonce string, version int) *Seen {
		return &Seen{Kind: kindMessage, Seq: seq, ID: seq, Author: chat.UserID(who), Nonce: nonce, Body: Body(nonce, version)}
	}
	edit, deletion := deed("ada", "n3", 5, 5), deed("ada", "n1", 6, 6)
	edit.Kind, edit.Message, edit.Version = roomsapi.KindEdit, 3, 1
	deletion.Kind, deletion.Message = roomsapi.KindDelete, 1
	again := deed("ben", "n2", 2, 3)
	again.Again = true
	edited := message(3, "ada", "n3", 1)
	edited.Kind, edited.Seq = kindEdited, 5
	log := &Log{Room: "r", Name: "L", Rows: []Row{
		{Seq: 1, Kind: kindMessage, Message: 1, Author: "ada", Nonce: "n1", Deleted: true},
		{Seq: 2, Kind: kindMessage, Message: 2, Author: "ben", Nonce: "n2", Body: Body("n2", 0)},
		{Seq: 3, Kind: kindMessage, Message: 3, Author: "ada", Nonce: "n3", Body: Body("n3", 1)},
		{Seq: 4, Kind: kindMessage, Message: 4, Author: "ada", Nonce: "n4", Body: Body("n4", 0)},
		{Seq: 5, Kind: kindEdited, Message: 3, Author: "ada"},
		{Seq: 6, Kind: kindDeleted, Message: 1, Author: "ada"},
	}}
	sight := &Sight{Who: "ada", Room: "r", Segments: []*Segment{{
		Log: "L", Start: 1, Open: true, Whole: true, Snapshot: []*Seen{message(1, "ada", "n1", 0)},
		Entries: []*Seen{message(2, "ben", "n2", 0), message(3, "ada", "n3", 0), message(4, "ada", "n4", 0), edited, {Kind: kindDeleted, Seq: 6, ID: 1, Deleted: true}},
	}}}
	fresh := []chat.Message{{ID: 1, Author: chat.Author{ID: "ada"}, Nonce: "n1", Deleted: true}}
	for _, r := range log.Rows[1:4] {
		fresh = append(fresh, chat.Message{ID: r.Seq, Author: chat.Author{ID: r.Author}, Nonce: r.Nonce, Body: r.Body})
	}
	return &Evidence{
		Epochs: []Epoch{{Logs: map[chat.Slug]*Log{"r": log}}},
		Deeds:  []Deed{deed("ada", "n1", 1, 1), deed("ben", "n2", 0, 2), again, deed("ada", "n3", 3, 3), deed("ada", "n4", 4, 4), edit, deletion},
		Sights: []*Sight{sight}, Fresh: map[chat.Slug][]chat.Message{"r": fresh},
	}
}

// restored is the good talk after a restore from a backup that was begun at second 3 and had entries
// 1 to 3; the services served again from second 10 on. Ben then sent n9.
func restored() *Evidence {
	e := good()
	old := e.Epochs[0].Logs["r"]
	log := &Log{Room: "r", Name: "M", Rows: slices.Clone(old.Rows[:3])}
	log.Rows[0].Deleted, log.Rows[0].Body = false, Body("n1", 0)
	log.Rows[2].Body = Body("n3", 0)
	log.Rows = append(log.Rows, Row{Seq: 4, Kind: kindMessage, Message: 4, Author: "ben", Nonce: "n9", Body: Body("n9", 0)})
	e.Epochs = append(e.Epochs, Epoch{Began: at(10), Kept: at(3), Logs: map[chat.Slug]*Log{"r": log}})
	e.Deeds = append(e.Deeds, Deed{Who: "ben", Author: "ben", Room: "r", Kind: roomsapi.KindSend, Nonce: "n9", Acked: 4, Begun: at(12), Answered: at(12)})
	s := e.Sights[0]
	s.Segments[0].Open = false
	s.Breaks = []Break{{Log: "L", JoinedLog: "M", After: 6, Joined: 4}}
	s.Segments = append(s.Segments, &Segment{Log: "M", Start: 4, Open: true})
	e.Fresh = nil
	return e
}

// The invariants find what they are for, and the first that is found is named after it.
func TestInvariantsFindPlantedViolations(t *testing.T) {
	for name, c := range map[string]struct {
		plant func(e *Evidence, log *Log, part *Segment)
		found string // the invariant that is first, "" for none
	}{
		"nothing":                {func(*Evidence, *Log, *Segment) {}, ""},
		"hole in the log":        {func(_ *Evidence, log *Log, _ *Segment) { log.Rows[5].Seq = 7 }, Contiguous},
		"same nonce twice":       {func(_ *Evidence, log *Log, _ *Segment) { log.Rows[3].Nonce = "n1" }, Once},
		"lost ack":               {func(e *Evidence, _ *Log, _ *Segment) { e.Deeds[4].Acked = 7 }, AckedKept},
		"lost edit":              {func(_ *Evidence, log *Log, _ *Segment) { log.Rows[4].Message = 2 }, AckedKept},
		"lost delete":            {func(_ *Evidence, log *Log, _ *Segment) { log.Rows[5].Kind = "notice" }, AckedKept},
		"acked as another":       {func(e *Evidence, _ *Log, _ *Segment) { e.Deeds[3].Acked = 4 }, AckedKept},
		"author is another":      {func(_ *Evidence, log *Log, _ *Segment) { log.Rows[3].Author = "ben" }, AckedKept},
		"sent again, another id": {func(e *Evidence, _ *Log, _ *Segment) { e.Deeds[1].Acked = 4; e.Deeds[1].Nonce = "n2" }, AckedKept},
		"refused and there": {func(e *Evidence, _ *Log, _ *Segment) {
			e.Deeds[4].Acked, e.Deeds[4].Refused = 0, chat.Errorf(chat.CodeForbidden, "no")
		}, RefusedNot},
		"refused one's own": {func(e *Evidence, _ *Log, _ *Segment) {
			e.Deeds[5].Acked, e.Deeds[5].Refused = 0, chat.Errorf(chat.CodeNotFound, "no")
		}, RefusedNot},
		"sender's order":           {func(e *Evidence, _ *Log, _ *Segment) { e.Deeds[3], e.Deeds[4] = e.Deeds[4], e.Deeds[3] }, SenderOrder},
		"hole on the wire":         {func(e *Evidence, _ *Log, _ *Segment) { e.Problems = []Violation{{Invariant: WireOrder}} }, WireOrder},
		"delivered after left":     {func(e *Evidence, _ *Log, _ *Segment) { e.Problems = []Violation{{Invariant: NothingAfterLeft}} }, NothingAfterLeft},
		"cursor forgotten":         {func(e *Evidence, _ *Log, _ *Segment) { e.Sights[0].Breaks = []Break{{"L", "L", 2, 6}} }, Recovered},
		"renamed for nothing":      {func(e *Evidence, _ *Log, _ *Segment) { e.Sights[0].Breaks = []Break{{"K", "L", 2, 6}} }, Recovered},
		"hole in what was applied": {func(_ *Evidence, _ *Log, part *Segment) { part.Entries = slices.Delete(part.Entries, 1, 2) }, Applied},
		"double": {func(_ *Evidence, _ *Log, part *Segment) {
			part.Entries = slices.Insert(part.Entries, 1, part.Entries[0])
		}, Applied},
		"reorder": {func(_ *Evidence, _ *Log, part *Segment) {
			part.Entries[0], part.Entries[1] = part.Entries[1], part.Entries[0]
		}, Applied},
		"another body":             {func(_ *Evidence, _ *Log, part *Segment) { part.Entries[0].Body = Body("n4", 0) }, AsLogged},
		"another author":           {func(_ *Evidence, _ *Log, part *Segment) { part.Entries[0].Author = "ada" }, AsLogged},
		"an edit that was none":    {func(_ *Evidence, _ *Log, part *Segment) { part.Entries[1].Body = Body("n3", 2) }, AsLogged},
		"the edit shows the old":   {func(_ *Evidence, _ *Log, part *Segment) { part.Entries[3].Body = Body("n3", 0) }, AsLogged},
		"the replay shows the old": {func(_ *Evidence, _ *Log, part *Segment) { part.Entries[1].Told = 5 }, AsLogged},
		"the replay shows the gone": {func(e *Evidence, log *Log, part *Segment) {
			log.Rows[5].Message, log.Rows[1].Deleted, e.Deeds[6].Message, part.Entries[0].Told = 2, true, 2, 6
			part.Entries[4].ID = 2
		}, AsLogged},
		"deleted too soon":           {func(_ *Evidence, _ *Log, part *Segment) { part.Entries[0].Deleted = true }, AsLogged},
		"beyond the log":             {func(_ *Evidence, _ *Log, part *Segment) { part.Entries = append(part.Entries, &Seen{Seq: 7}) }, AsLogged},
		"a log of no name":           {func(_ *Evidence, _ *Log, part *Segment) { part.Log = "K" }, AsLogged},
		"stopped early":              {func(_ *Evidence, _ *Log, part *Segment) { part.Entries = part.Entries[:3] }, ReachedEnd},
		"stopped early, having left": {func(_ *Evidence, _ *Log, part *Segment) { part.Entries, part.Open = part.Entries[:3], false }, ""},
		"loads otherwise":            {func(e *Evidence, _ *Log, _ *Segment) { e.Fresh["r"][2].Body = Body("n3", 0) }, SameAfresh},
		"loads less":                 {func(e *Evidence, _ *Log, _ *Segment) { e.Fresh["r"] = e.Fresh["r"][:3] }, SameAfresh},
		"loads more":                 {func(e *Evidence, _ *Log, part *Segment) { part.Snapshot = nil }, SameAfresh},
		"no answer":                  {func(e *Evidence, _ *Log, _ *Segment) { e.Problems = []Violation{{Invariant: Answered}} }, Answered},
	} {
		t.Run(name, func(t *testing.T) {
			e := good()
			c.plant(e, e.Epochs[0].Logs["r"], e.Sights[0].Segments[0])
			first(t, e, c.found)
		})
	}
}

func TestInvariantsAfterARestore(t *testing.T) {
	for name, c := range map[string]struct {
		plant func(e *Evidence, log *Log, part *Segment)
		found string
	}{
		"nothing but what the backup lacks":   {func(*Evidence, *Log, *Segment) {}, ""},
		"lost though acked before the backup": {func(_ *Evidence, log *Log, _ *Segment) { log.Rows[0].Nonce = "n0" }, AckedKept},
		"lost though acked afterwards":        {func(e *Evidence, _ *Log, _ *Segment) { e.Deeds[7].Acked = 5 }, AckedKept},
		"lost before the restore":             {func(e *Evidence, _ *Log, _ *Segment) { e.Epochs[0].Logs["r"].Rows[3].Nonce = "n0" }, AckedKept},
		"sent again, stored anew":             {func(e *Evidence, log *Log, _ *Segment) { again(e, log, "n4") }, ""},
		"sent again, after what came later": {func(e *Evidence, log *Log, _ *Segment) {
			again(e, log, "n3")
			log.Rows[2].Nonce, log.Rows[2].Author = "n7", "ada"
			e.Deeds[3].Acked, e.Deeds[3].Answered = 3, at(4) // after the backup was begun
			later := e.Deeds[7]
			later.Who, later.Author, later.Nonce, later.Acked = "ada", "ada", "n7", 3
			e.Deeds = append(e.Deeds[:8:8], later, e.Deeds[8])
		}, ""},
		"sent again, stored twice": {func(e *Evidence, log *Log, _ *Segment) { again(e, log, "n3") }, Once},
		"resumed across":           {func(e *Evidence, _ *Log, _ *Segment) { e.Problems = []Violation{{Invariant: Recovered}} }, Recovered},
		"stayed with the old": {func(e *Evidence, _ *Log, part *Segment) {
			e.Sights[0].Segments = e.Sights[0].Segments[:1]
			part.Open = true
		}, ReachedEnd},
		"shows what is gone": {func(e *Evidence, _ *Log, _ *Segment) {
			seen := *e.Sights[0].Segments[0].Entries[2]
			e.Sights[0].Segments[1] = &Segment{Log: "M", Start: 3, Open: true, Entries: []*Seen{&seen}}
		}, AsLogged},
	} {
		t.Run(name, func(t *testing.T) {
			e := restored()
			c.plant(e, e.Epochs[1].Logs["r"], e.Sights[0].Segments[0])
			first(t, e, c.found)
		})
	}
}

// again has ada send a message again after the restore, which is stored as 5.
func again(e *Evidence, log *Log, nonce string) {
	e.Deeds = append(e.Deeds, Deed{Who: "ada", Author: "ada", Room: "r", Kind: roomsapi.KindSend, Nonce: nonce, Acked: 5, Again: true, Begun: at(13), Answered: at(13)})
	log.Rows = append(log.Rows, Row{Seq: 5, Kind: kindMessage, Message: 5, Author: "ada", Nonce: nonce, Body: Body(nonce, 0)})
	part := e.Sights[0].Segments[1]
	part.Entries = append(part.Entries, &Seen{Kind: kindMessage, Seq: 5, ID: 5, Author: "ada", Nonce: nonce, Body: Body(nonce, 0)})
}

func first(t *testing.T, e *Evidence, want string) {
	t.Helper()
	violations := e.Check()
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

// What frames one connection may bring.
func TestTheEarHearsWhatTheClientMends(t *testing.T) {
	const joined = `{"type":"joined","id":1,"room":{"slug":"r","log":"L"},"cursor":5,"messages":[]}`
	for name, c := range map[string]struct {
		frames []string
		found  string
	}{
		"in order":     {[]string{joined, `{"type":"message","room":"r","seq":6}`, `{"type":"entered","room":"r"}`, `{"type":"yet to come","room":"r","seq":7}`}, ""},
		"a hole":       {[]string{joined, `{"type":"message","room":"r","seq":7}`}, WireOrder},
		"a double":     {[]string{joined, `{"type":"message","room":"r","seq":6}`, `{"type":"message","room":"r","seq":6}`}, WireOrder},
		"a replay":     {[]string{`{"type":"joined","id":1,"room":{"slug":"r"},"cursor":5,"recovered":true,"events":[{"seq":4},{"seq":5}]}`}, ""},
		"not up to it": {[]string{`{"type":"joined","id":1,"room":{"slug":"r"},"cursor":5,"recovered":true,"events":[{"seq":3},{"seq":4}]}`}, WireOrder},
		"not from it":  {[]string{`{"type":"joined","id":1,"room":{"slug":"q"},"cursor":9,"recovered":true,"events":[{"seq":8},{"seq":9}]}`}, Recovered},
		"from it":      {[]string{`{"type":"joined","id":1,"room":{"slug":"q"},"cursor":9,"recovered":true,"events":[{"seq":7},{"seq":8},{"seq":9}]}`}, ""},
		"a holed one":  {[]string{`{"type":"joined","id":1,"room":{"slug":"r"},"cursor":5,"recovered":true,"events":[{"seq":3},{"seq":5}]}`}, WireOrder},
		"never joined": {[]string{`{"type":"message","room":"r","seq":6}`}, NothingAfterLeft},
		"after left":   {[]string{joined, `{"type":"left","id":2,"room":"r"}`, `{"type":"message","room":"r","seq":6}`}, NothingAfterLeft},
		"a sign of it": {[]string{joined, `{"type":"left","id":2,"room":"r"}`, `{"type":"typing","room":"r"}`}, NothingAfterLeft},
		"an answer":    {[]string{joined, `{"type":"left","id":2,"room":"r"}`, `{"type":"sent","id":3,"room":"r","message":6}`}, ""},
		"news of it":   {[]string{joined, `{"type":"left","id":2,"room":"r"}`, `{"type":"room_updated","room":{"slug":"r"}}`}, ""},
		"and back":     {[]string{joined, `{"type":"left","id":2,"room":"r"}`, joined, `{"type":"message","room":"r","seq":6}`}, ""},
		"another room": {[]string{joined, `{"type":"left","id":2,"room":"q"}`, `{"type":"message","room":"r","seq":6}`}, ""},
		"no JSON":      {[]string{`{`}, Answered},
	} {
		t.Run(name, func(t *testing.T) {
			talk := &Talk{}
			e := &ear{talker: &talker{talk: talk, who: "ada", views: map[chat.Slug]*view{"q": {segment: &Segment{Start: 6}}}}, rooms: map[chat.Slug]*heard{}}
			for _, frame := range c.frames {
				e.hear([]byte(frame))
			}
			if got := talk.problems; (len(got) > 0) != (c.found != "") || len(got) > 0 && got[0].Invariant != c.found {
				t.Error(got)
			}
		})
	}
}
