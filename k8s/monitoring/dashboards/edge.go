package main

func edge() Dashboard {
	return Dashboard{
		name: "edge", title: "Edge", about: "Sockets, what they ask for, what they cost.",
		rows: []row{
			{"Sockets", []panel{
				graph("Open sockets by pod", "About the same on each; new pods fill as sockets reach PARLEY_EDGE_MAX_AGE.", count,
					q("sum by (pod) (parley_edge_connections{@})", "{{pod}}")).stack(),
				graph("Handshakes", "Few against the open sockets. unauthenticated: strangers, or tokens that ended while a laptop slept.", perS,
					q("sum by (result) (rate(parley_edge_connects_total{@}[auto]))", "{{result}}")).stack(),
				graph("Ended sockets by code", "1000 by the client or its network; 1012 drained or of age; 4401 session ended; 4408 too slow a reader; 4429 flooding.", perS,
					q("sum by (code) (rate(parley_edge_closed_total{@}[auto]))", "{{code}}")).stack(),
				graph("Long polls and event streams", "What networks that let no WebSocket through use.", count, q("sum by (kind) (parley_edge_followers{@})", "{{kind}}")),
				graph("Slow readers cut", "None, or a few on mobile networks.", perS, q("sum by (pod) (rate(parley_edge_slow_reader_cuts_total{@}[auto]))", "{{pod}}")),
				graph("Bytes that wait for sockets", "Close to 0 but for moments: a hill that stays is readers that do not read.", size,
					q("sum by (pod) (parley_edge_outbox_bytes{@})", "{{pod}}")).stack(),
			}},
			{"Commands", []panel{
				graph("By type", "Mostly send, join and typing. unknown: a client of another version.", perS,
					q("sum by (type) (rate(parley_edge_commands_total{@}[auto]))", "{{type}}")).stack(),
				graph("Not ok, by result", "forbidden and not_found are people; rate_limited loops; unavailable and internal are us.", perS,
					q(`sum by (result) (rate(parley_edge_commands_total{@, result!="ok"}[auto]))`, "{{result}}")).stack(),
				graph("Time to answer, slowest of a hundred", "Milliseconds; a join of a room that is not open takes a read of the log.", seconds,
					slowest("parley_edge_command_seconds", "type")),
			}},
			{"Rooms and presence", []panel{
				graph("Open rooms", "Rooms with somebody in them, and those left within 20 s.", count, q("sum by (pod) (parley_edge_open_rooms{@})", "{{pod}}")),
				graph("Time to open a room", "Tens of milliseconds; more while many are opened at once after a rollout.", seconds, times("parley_edge_room_open_seconds")...),
				graph("Comings and goings told", "Follows the sockets; nobody who is back within 10 s counts.", perS,
					q("sum by (kind) (rate(parley_edge_presence_updates_total{@}[auto]))", "{{kind}}")),
				graph("Rounds of presence", "ok alone. failed: Redis.", perS, q("sum by (result) (rate(parley_edge_presence_rounds_total{@}[auto]))", "{{result}}")),
				graph("Time of such a round", "A few milliseconds.", seconds, times("parley_edge_presence_round_seconds")...),
			}},
			{"What it costs", []panel{
				graph("Memory", "12 KiB a socket, and what the open rooms' newest entries take. Follows the sockets, down again too.", size,
					q(`sum by (pod) (process_resident_memory_bytes{@, component="edge"})`, "{{pod}}")),
				graph("Goroutines", "About one a socket. More that do not go away are a leak.", count, q(`sum by (pod) (go_goroutines{@, component="edge"})`, "{{pod}}")),
				graph("Processors", "Under the limit: an edge that is throttled delivers late.", count,
					q(`sum by (pod) (rate(process_cpu_seconds_total{@, component="edge"}[auto]))`, "{{pod}}")),
				graph("File descriptors used", "Far from 100 %. One a socket.", share,
					q(`max by (pod) (process_open_fds{@, component="edge"} / process_max_fds{@, component="edge"})`, "{{pod}}")),
				graph("Garbage collection", "Pauses of the longest kind: under a millisecond.", seconds,
					q(`max by (pod) (go_gc_duration_seconds{@, component="edge", quantile=~"1|1.0"})`, "{{pod}}")),
			}},
		},
	}
}
