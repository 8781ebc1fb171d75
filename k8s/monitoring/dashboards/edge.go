package main

func edge() Dashboard {
	return Dashboard{
		name: "edge", title: "Edge", about: "Sockets, their commands, and the resources that they need.",
		rows: []row{
			{"Sockets", []panel{
				graph("Open sockets by pod", "About the same on each pod. New pods fill as sockets reach PARLEY_EDGE_MAX_AGE.", count,
					q("sum by (pod) (parley_edge_connections{@})", "{{pod}}")).stack(),
				graph("Handshakes", "Few, compared with the open sockets. unauthenticated: unknown clients, or tokens that expired while a laptop slept.", perS,
					q("sum by (result) (rate(parley_edge_connects_total{@}[auto]))", "{{result}}")).stack(),
				graph("Closed sockets by code", "1000: closed by the client or its network. 1012: drained, or reached the maximum age. 4401: session ended. 4408: slow reader. 4429: flooding.", perS,
					q("sum by (code) (rate(parley_edge_closed_total{@}[auto]))", "{{code}}")).stack(),
				graph("Long polls and event streams", "Few: clients in networks without WebSockets use them.", count, q("sum by (kind) (parley_edge_followers{@})", "{{kind}}")),
				graph("Slow readers disconnected", "None, or a few on mobile networks.", perS, q("sum by (pod) (rate(parley_edge_slow_reader_cuts_total{@}[auto]))", "{{pod}}")),
				graph("Bytes that wait for sockets", "Close to 0, except for moments. A lasting rise: clients that do not read.", size,
					q("sum by (pod) (parley_edge_outbox_bytes{@})", "{{pod}}")).stack(),
			}},
			{"Commands", []panel{
				graph("By type", "Mostly send, join and typing. unknown: clients of another version.", perS,
					q("sum by (type) (rate(parley_edge_commands_total{@}[auto]))", "{{type}}")).stack(),
				graph("Failed commands by result", "forbidden and not_found: users' mistakes. rate_limited: a script in a loop. unavailable and internal: failures of Parley.", perS,
					q(`sum by (result) (rate(parley_edge_commands_total{@, result!="ok"}[auto]))`, "{{result}}")).stack(),
				graph("Time to answer, p99", "Milliseconds. The first join of a room reads its log and takes longer.", seconds,
					p99By("parley_edge_command_seconds", "type")),
			}},
			{"Rooms and presence", []panel{
				graph("Open rooms", "Rooms with members, and rooms that the last member left less than 20 s ago.", count, q("sum by (pod) (parley_edge_open_rooms{@})", "{{pod}}")),
				graph("Time to open a room", "Tens of milliseconds. More after a rollout, when many rooms are opened at once.", seconds, times("parley_edge_room_open_seconds")...),
				graph("Presence updates sent", "Follows the sockets. Users who return within 10 s do not count.", perS,
					q("sum by (kind) (rate(parley_edge_presence_updates_total{@}[auto]))", "{{kind}}")),
				graph("Presence rounds", "Only ok. failed: Redis is unreachable.", perS, q("sum by (result) (rate(parley_edge_presence_rounds_total{@}[auto]))", "{{result}}")),
				graph("Time of a presence round", "A few milliseconds.", seconds, times("parley_edge_presence_round_seconds")...),
			}},
			{"Resources", []panel{
				graph("Memory", "12 KiB per socket, plus the newest entries of the open rooms. It also falls with the number of sockets.", size,
					q(`sum by (pod) (process_resident_memory_bytes{@, component="edge"})`, "{{pod}}")),
				graph("Goroutines", "About one per socket. More that stay are a leak.", count, q(`sum by (pod) (go_goroutines{@, component="edge"})`, "{{pod}}")),
				graph("CPUs", "Below the limit. A throttled edge delivers late.", count,
					q(`sum by (pod) (rate(process_cpu_seconds_total{@, component="edge"}[auto]))`, "{{pod}}")),
				graph("File descriptors used", "Far from 100 %. Each socket needs one.", share,
					q(`max by (pod) (process_open_fds{@, component="edge"} / process_max_fds{@, component="edge"})`, "{{pod}}")),
				graph("Garbage collection", "The longest pauses: below a millisecond.", seconds,
					q(`max by (pod) (go_gc_duration_seconds{@, component="edge", quantile=~"1|1.0"})`, "{{pod}}")),
			}},
		},
	}
}
