package message

import (
	"testing"

	"github.com/parley-chat/parley/pkg/operation"
)

func TestEveryOperationHasAnEffect(t *testing.T) {
	for _, o := range operation.All {
		if e := effects[o.Name]; e == nil || e.apply == nil || e.show == nil || effectsByEntry[o.Entry] != e {
			t.Errorf("%s does nothing to the log", o.Name)
		}
	}
	if len(effects) != len(operation.All) || len(effectsByEntry) != len(operation.All) {
		t.Error("there are effects of operations that are not in the table")
	}
}

// A log may hold what a newer release wrote.
func TestAnEntryOfAKindThatIsNotKnown(t *testing.T) {
	subject := Entry{Seq: 3, Message: 3, Kind: operation.EntryMessage, Body: "hi"}
	entry := render("room", ReadEntry{Entry: Entry{Seq: 7, Kind: "of_tomorrow", Message: 3, Body: `{"emoji":"x"}`}, Subject: &subject})
	if got := string(entry.Event); got != `{"type":"of_tomorrow","room":"room","seq":7}` || entry.Message != 3 || len(entry.State) == 0 {
		t.Errorf("%s %+v", got, entry)
	}
	if got := string(render("room", ReadEntry{Entry: Entry{Seq: 8, Kind: KindNotice, Body: "Hello."}}).Event); got != `{"type":"notice","room":"room","seq":8,"text":"Hello."}` {
		t.Error(got)
	}
}
