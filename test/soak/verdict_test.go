//go:build linux

package soak

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// series samples an hour of one process that starts at base and grows by perHour, with a spike in it.
func series(base, perHour float64) (samples []Sample) {
	for at := 10.0; at <= 3600; at += 10 {
		value := base + perHour*at/3600
		if at < 300 {
			value = base / 2 // warming up
		}
		if int(at)%500 == 0 {
			value *= 3
		}
		samples = append(samples, Sample{Seconds: at, Processes: map[string]Process{"edge-1": {Resident: int64(value)}}})
	}
	return samples
}

func TestWhatGrowsIsNotFlat(t *testing.T) {
	for what, c := range map[string]struct {
		base, perHour float64
		flat          bool
	}{
		"steady":         {40 << 20, 0, true},
		"a cache fills":  {40 << 20, 4 << 20, true},
		"a slow leak":    {40 << 20, 16 << 20, false},
		"a fast leak":    {40 << 20, 200 << 20, false},
		"what gets less": {40 << 20, -20 << 20, true},
	} {
		v := flat("memory", series(c.base, c.perHour), time.Hour, memorySlack, func(s Sample) float64 { return float64(s.Processes["edge-1"].Resident) }, mib)
		if v.Holds != c.flat {
			t.Errorf("%s: %+v", what, v)
		}
	}
	if v := flat("nothing", nil, time.Hour, 0, func(Sample) float64 { return 0 }, mib); v.Holds {
		t.Error("nothing was measured, and it holds")
	}
}

func TestWhatIsLeftBehindIsFound(t *testing.T) {
	rest := func() Sample {
		s := Sample{Processes: map[string]Process{}, Redis: Keyspace{Keys: map[string]int{kindEdges: 3, kindLobby: 2, kindRooms: 9}, Longest: dayLong}}
		for _, name := range services() {
			s.Processes[name] = Process{Goroutines: 30, Files: Descriptors{Out: 2, Redis: 3, Postgres: 2, Other: 9}}
		}
		return s
	}
	if left := leftovers(rest(), rest()); !left.Holds() {
		t.Error(left)
	}
	process := func(change func(*Process)) func(*Sample) {
		return func(s *Sample) {
			p := s.Processes["rooms-2"]
			change(&p)
			s.Processes["rooms-2"] = p
		}
	}
	for what, change := range map[string]func(*Sample){
		"rooms-2 goroutines":  process(func(p *Process) { p.Goroutines += leftGoroutines + 1 }),
		"connections between": process(func(p *Process) { p.Files.In += leftBetween + 1 }),
		"edge-1 no": func(s *Sample) {
			p := s.Processes["edge-1"]
			p.Files.In++
			s.Processes["edge-1"] = p
		},
		"rooms-2 no descript": process(func(p *Process) { p.Files.Other++ }),
		"rooms-2 no desc":     process(func(p *Process) { p.Files.Redis += poolOfRedis }),
		"no keys of presence": func(s *Sample) { s.Redis.Keys[kindMembers] = 1 },
		"no keys":             func(s *Sample) { s.Redis.Keys[kindOther] = 1 },
		"one lease":           func(s *Sample) { s.Redis.Keys[kindEdges] = 4 },
		"every key expires":   func(s *Sample) { s.Redis.Lasting = 1 },
		"every key":           func(s *Sample) { s.Redis.Longest = dayLong + time.Second },
	} {
		after := rest()
		change(&after)
		var failed []string
		for _, v := range leftovers(rest(), after) {
			if !v.Holds {
				failed = append(failed, v.What)
			}
		}
		if len(failed) != 1 || !strings.HasPrefix(failed[0], what) {
			t.Errorf("%s: %v", what, failed)
		}
	}
}

func TestKindsOfKeys(t *testing.T) {
	for key, want := range map[string]string{
		"parley:{p17}:default:room:LOG": kindRooms, "parley:{p17}:default:members:LOG": kindMembers, "parley:lobby:auth:LOG": kindLobby,
		"parley:edge:ABC": kindEdges, "parley:{p17}:default:seen:LOG": kindOther, "else": kindOther,
	} {
		if got := kindOf(key); got != want {
			t.Errorf("%s is of %s", key, got)
		}
	}
}

func TestShortRunsHaveWindowsToo(t *testing.T) {
	warm, compare, last := windows(4 * time.Minute)
	if got := fmt.Sprint(warm, compare, last); got != "60 120 192" {
		t.Error(got)
	}
	warm, compare, last = windows(time.Hour)
	if got := fmt.Sprint(warm, compare, last); got != "600 1200 2880" {
		t.Error(got)
	}
}
