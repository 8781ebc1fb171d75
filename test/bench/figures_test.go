//go:build linux

package bench

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/parley-chat/parley/test/harness"
)

func TestMedianAndVerdict(t *testing.T) {
	for _, test := range []struct {
		figure     Figure
		median     float64
		met, known bool
	}{
		{Figure{}, 0, false, false},
		{Figure{Values: []float64{3, 1, 2}, Target: 2}, 2, true, true},
		{Figure{Values: []float64{4, 1, 3, 2}, Target: 2.4}, 2.5, false, true},
		{Figure{Values: []float64{9}, Target: 10, AtLeast: true}, 9, false, true},
		{Figure{Values: []float64{10}, Target: 10, AtLeast: true}, 10, true, true},
	} {
		met, known := test.figure.Met()
		if m := test.figure.Median(); m != test.median || met != test.met || known != test.known {
			t.Errorf("%+v: median %v, met %v, known %v", test.figure, m, met, known)
		}
	}
}

func report(commit string, values ...float64) *Report {
	r := &Report{Commit: commit, Runs: 2}
	r.note("a", "told", "µs", values[0], goal{})
	r.note("a", "time", "ms", values[0], atMost(3))
	r.note("b", "share", ratio, values[0], atMost(1.5))
	for _, v := range values[1:] {
		r.note("a", "time", "ms", v, atMost(3))
	}
	return r
}

func TestRatiosComeFirst(t *testing.T) {
	var order []string
	for _, f := range report("x", 1, 2).sorted() {
		order = append(order, f.Name)
	}
	if !slices.Equal(order, []string{"share", "time", "told"}) {
		t.Error(order)
	}
}

func TestTwoReportsAreCompared(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.json")
	before, after := report("old", 2, 4), report("new", 6, 6)
	before.Flaws = []string{"a: it rained"}
	if err := harness.Save(path, before); err != nil {
		t.Fatal(err)
	}
	loaded, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	after.note("c", "new figure", "µs", 1, goal{})
	var out strings.Builder
	if err := Compare(&out, loaded, after); err != nil {
		t.Fatal(err)
	}
	found := false
	for line := range strings.Lines(out.String()) {
		fields := strings.Fields(line)
		// 3 became 6: twice as much; the runs of before were 2 and 4.
		if slices.Equal(fields, strings.Fields("a time 2.00 ±33% 3.00 6.00 ms ≤ 3.00 met NOT MET")) {
			found = true
		}
		if strings.Contains(line, "new figure") {
			t.Error("compared with nothing:", line)
		}
	}
	if !found {
		t.Error(out.String())
	}
	out.Reset()
	if err := loaded.Markdown(&out); err != nil || !strings.Contains(out.String(), "| a | time | 3.00 ms | ≤ 3.00 | met |") {
		t.Error(out.String(), err)
	}
	out.Reset()
	if err := loaded.Table(&out); err != nil || !strings.Contains(out.String(), "FLAW: a: it rained") {
		t.Error(out.String(), err)
	}
}

func TestTheClimbFindsWhatHolds(t *testing.T) {
	for _, limit := range []float64{40, 100, 130, 790, 800, 5000, 1e9} {
		tries := 0
		best, err := climb(50, 10_000, 4, func(rate float64) (bool, error) {
			tries++
			return rate <= limit, nil
		})
		want := limit
		switch {
		case limit < 50:
			want = 0
		case limit > 10_000:
			want = 6400
		}
		if err != nil || best > want || best < want*0.93 || tries > 20 {
			t.Errorf("limit %v: found %v in %d tries, %v", limit, best, tries, err)
		}
	}
	best, err := climb(50, 10_000, 0, func(rate float64) (bool, error) { return rate != 200 && rate < 1000, nil })
	if err != nil || best != 800 {
		t.Error("one that was disturbed ends the climb:", best, err)
	}
	unlucky := true
	best, _ = climb(50, 100, 1, func(float64) (bool, error) {
		unlucky = !unlucky
		return unlucky, nil
	})
	if best != 100 {
		t.Error("a rate is tried twice:", best)
	}
	wrong := errors.New("wrong")
	if _, err := climb(1, 2, 1, func(float64) (bool, error) { return false, wrong }); !errors.Is(err, wrong) {
		t.Error(err)
	}
}

// Who sends to a room is in it, and each room has as many members as is told, spread over the addresses.
func TestLayoutsAreConsistent(t *testing.T) {
	for name, l := range map[string]layout{
		"10 rooms of 100": evenly(1000, 10, 2), "1 room of 1,000": evenly(1000, 1, 2), "one address": evenly(100, 10, 1),
		"pairs": pairs(2), "spread over 10": spread(10), "spread over 1,000": spread(1000), "spread over 10,000": spread(10_000), "quiet": lowLayout(),
	} {
		members := make([]map[int]int, l.rooms) // of each room, by address
		for i := range members {
			members[i] = map[int]int{}
		}
		in := map[string]bool{}
		for i := range l.sockets {
			s := l.seat(i)
			for _, room := range s.rooms {
				members[room][s.address]++
				in[fmt.Sprint(i, room)] = true
			}
		}
		for room, by := range members {
			sum, least, most := 0, l.members, 0
			for _, n := range by {
				sum, least, most = sum+n, min(least, n), max(most, n)
			}
			if wanted := min(2, l.members); name != "one address" && len(by) != wanted {
				t.Fatalf("%s: room %d has members on %d addresses", name, room, len(by))
			}
			if sum != l.members || name != "quiet" && most-least > 0 {
				t.Fatalf("%s: room %d has members %v", name, room, by)
			}
		}
		for i := range 3 * l.rooms {
			if socket, room := l.pick(i); !in[fmt.Sprint(socket, room)] {
				t.Fatalf("%s: message %d is sent by %d to %d, where it is not", name, i, socket, room)
			}
		}
	}
}

func TestMetricsAreAddedUp(t *testing.T) {
	text := `# HELP parley_rooms_http_request_seconds of {route="/a"} 7
parley_rooms_http_request_seconds_count{code="200",method="POST",route="/a"} 5
parley_rooms_http_request_seconds_count{code="503",method="POST",route="/a"} 2e1
parley_rooms_http_request_seconds_count{code="200",method="POST",route="/b"} 100
parley_rooms_http_request_seconds_sum{code="200",method="POST",route="/a"} 1000
`
	sum, err := sumMetric(strings.NewReader(text), "http_request_seconds_count", `route="/a"`)
	if err != nil || sum != 25 {
		t.Error(sum, err)
	}
	if calls := callsIn("cmdstat_xreadgroup:calls=3,usec=4\r\ncmdstat_xread:calls=17,usec=5\r\n", "xread"); calls != 17 {
		t.Error(calls)
	}
}

func TestScenariosAreChosenByName(t *testing.T) {
	if all, err := choose(nil); err != nil || len(all) != len(scenarios()) {
		t.Error(len(all), err)
	}
	two, err := choose([]string{"idle", "acked"})
	if err != nil || len(two) != 2 || two[0].name != "idle" || two[1].name != "acked" {
		t.Error(two, err)
	}
	if _, err := choose([]string{"idle", "rest"}); err == nil || !strings.Contains(err.Error(), "fanout-max") {
		t.Error(err)
	}
}
