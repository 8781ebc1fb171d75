package stream

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/parley-chat/parley/pkg/roomsapi"
)

// envelope is what is written of an entry, one argument a line.
func envelope(t *testing.T, e *roomsapi.Entry) string {
	t.Helper()
	client := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1"})
	defer func() { _ = client.Close() }()
	pipe := client.Pipeline()
	add(t.Context(), pipe, Room{"t", "l"}, e)
	var lines strings.Builder
	for _, arg := range pipe.Cmds()[0].Args() {
		if raw, ok := arg.([]byte); ok {
			arg = string(raw)
		}
		fmt.Fprintln(&lines, arg)
	}
	return lines.String()
}

// During a deploy, pods of two versions write and read one stream. So what the first version wrote is what is
// written today, but for fields that it passes over, and is read as what it was.
func TestTheEnvelopeIsThatOfTheFirstVersion(t *testing.T) {
	golden, err := os.ReadFile("testdata/envelope.golden")
	if err != nil {
		t.Fatal(err)
	}
	e := roomsapi.Entry{Seq: 3, Kind: "edited", Message: 1, Event: json.RawMessage(`{"seq":3}`), State: json.RawMessage(`{"id":1}`), AtMS: 1234}
	if got := envelope(t, &e); got != string(golden) {
		t.Errorf("got:\n%s\nthe first version wrote:\n%s", got, golden)
	}
	e.Traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	if got := strings.Replace(envelope(t, &e), "p\n"+e.Traceparent+"\n", "", 1); got != string(golden) {
		t.Errorf("a traced entry is more than one field longer:\n%s", got)
	}
	values := map[string]any{"k": "edited", "m": "1", "t": "1234", "e": `{"seq":3}`, "s": `{"id":1}`}
	if got, ok := decode("3-0", values); !ok || got.Traceparent != "" || got.Seq != 3 || string(got.State) != `{"id":1}` {
		t.Errorf("what the first version wrote is read as %+v", got)
	}
	values["p"] = e.Traceparent
	if got, ok := decode("3-0", values); !ok || got.Traceparent != e.Traceparent {
		t.Errorf("%+v", got)
	}
}
