package main

func path() Dashboard {
	return Dashboard{
		name: "path", title: "Message path", about: "One message's way from the socket to the database and on to everybody's sockets, in the order of the way.",
		rows: []row{
			{"Send: edge to rooms", []panel{
				graph("Appends by kind", "Follows the day.", perS, q(`sum by (kind) (rate(parley_rooms_appends_total{@}[auto]))`, "{{kind}}")).stack(),
				graph("Entries in a batch, mean", "1 when idle; grows with load, which is what makes load cheap.", count,
					q("sum(rate(parley_edge_append_batch_entries_sum{@}[auto])) / sum(rate(parley_edge_append_batch_entries_count{@}[auto]))", "sent by edges"),
					q("sum(rate(parley_rooms_append_batch_entries_sum{@}[auto])) / sum(rate(parley_rooms_append_batch_entries_count{@}[auto]))", "taken by rooms")),
				graph("Wait for a batch to leave", "About the time of one append: a lane has one batch under way.", seconds, slowest("parley_edge_lane_wait_seconds", "lane")),
				graph("Bytes in the lanes", "Close to 0. At 4 MiB a lane (append) and 16 MiB (access), more is refused as unavailable.", size,
					q("sum by (lane) (parley_edge_lane_bytes{@})", "{{lane}}")),
				graph("Refused by full lanes", "None.", perS, q("sum by (lane, reason) (rate(parley_edge_lane_refused_total{@}[auto]))", "{{lane}} {{reason}}")),
				graph("Sent again", "None but when pods of rooms end. Doubles are what was stored already: answered as the first time.", perS,
					q("sum(rate(parley_edge_append_retries_total{@}[auto]))", "batches sent again"), q("sum(rate(parley_rooms_duplicates_total{@}[auto]))", "doubles found")),
				graph("Calls of rooms, slowest of a hundred", "Milliseconds.", seconds, slowest("parley_edge_rooms_call_seconds", "call")),
				graph("Calls of rooms that failed", "None.", perS, q(`sum by (call) (rate(parley_edge_rooms_call_seconds_count{@, result="failed"}[auto]))`, "{{call}}")),
			}},
			{"Commit: rooms and PostgreSQL", []panel{
				graph("Arrival to commit", "A median of 1 ms; p99 is a matter of the disk's fsync.", seconds, times("parley_rooms_append_duration_seconds")...),
				graph("Appends refused, by why", "forbidden, not_found and the like are people; unavailable and internal are us.", perS,
					q(`sum by (result) (rate(parley_rooms_appends_total{@, result!="ok"}[auto]))`, "{{result}}")).stack(),
				graph("Transactions that wait for a room", "Close to 0: one room is written by one transaction at a time.", count, q("sum by (pod) (parley_rooms_turns_waiting{@})", "{{pod}}")),
			}},
			{"Stream: rooms to Redis to edges", []panel{
				graph("Commit to Redis", "A few milliseconds.", seconds, times("parley_rooms_publish_lag_seconds")...),
				graph("Did not get to Redis", "order in small numbers; redis: it is away or refuses; full: it is too slow.", perS,
					q("sum by (reason) (rate(parley_rooms_publish_lost_total{@}[auto]))", "{{reason}}")),
				graph("Bytes that wait for Redis", "Close to 0, of 32 MiB.", size, q("sum by (pod) (parley_rooms_publish_queue_bytes{@})", "{{pod}}")),
				graph("Reads of streams", "A few milliseconds.", seconds, times("parley_edge_stream_read_seconds")...),
				graph("Rooms that wait to be read or filled", "Close to 0.", count,
					q("sum(parley_edge_dirty_rooms{@})", "to be read"), q("sum(parley_edge_fills_in_flight{@})", "being filled")),
				graph("Reads of streams that failed", "None.", perS, q("sum by (pod) (rate(parley_edge_stream_failures_total{@}[auto]))", "{{pod}}")),
			}},
			{"Fill: what Redis did not bring", []panel{
				graph("Holes and entries filled", "A few, where pods of rooms overtake each other. Everything, while Redis is away.", perS,
					q("sum(rate(parley_edge_holes_total{@}[auto]))", "holes"), q("sum(rate(parley_edge_filled_entries_total{@}[auto]))", "entries filled")),
				graph("Time of a fill", "Milliseconds; failed only while rooms is away.", seconds, slowest("parley_edge_fill_seconds", "result")),
				graph("Age of the heads", "Half a second. More: rooms does not reach its database.", seconds, q("max by (pod) (parley_rooms_heads_age_seconds{@})", "{{pod}}")),
			}},
			{"Delivery: edges to sockets", []panel{
				graph("Append to outboxes", "p99 of a few milliseconds.", seconds, times("parley_edge_fanout_seconds")...),
				graph("Append to the end of the write", "A little more than to the outboxes; far more: sockets that do not read.", seconds, times("parley_edge_delivery_seconds")...),
				graph("Writes to sockets", "With entries in them; one write brings many while there is load.", perS, q("sum by (pod) (rate(parley_edge_delivery_seconds_count{@}[auto]))", "{{pod}}")).stack(),
				heatmap("Send to ack", "One dark band below 10 ms. A second band is one of two things that take turns.", "parley_edge_ack_seconds"),
				heatmap("Append to delivery", "The same; a band at 1 s is what came without Redis.", "parley_edge_delivery_seconds"),
			}},
		},
	}
}
