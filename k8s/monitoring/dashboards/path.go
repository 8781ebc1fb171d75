package main

func path() Dashboard {
	return Dashboard{
		name: "path", title: "Message path", about: "The path of a message from the sender's socket to the database and to the sockets of all members, step by step.",
		rows: []row{
			{"Send: edge to rooms", []panel{
				graph("Appends by kind", "Follows the time of day.", perS, q(`sum by (kind) (rate(parley_rooms_appends_total{@}[auto]))`, "{{kind}}")).stack(),
				graph("Entries in a batch, mean", "1 when idle. It grows with load, and larger batches make each entry cheaper.", count,
					q("sum(rate(parley_edge_append_batch_entries_sum{@}[auto])) / sum(rate(parley_edge_append_batch_entries_count{@}[auto]))", "sent by edges"),
					q("sum(rate(parley_rooms_append_batch_entries_sum{@}[auto])) / sum(rate(parley_rooms_append_batch_entries_count{@}[auto]))", "received by rooms")),
				graph("Wait before a batch is sent, p99", "About the time of one append, because a lane has only one batch in flight.", seconds, p99By("parley_edge_lane_wait_seconds", "lane")),
				graph("Bytes in the lanes", "Close to 0. A lane holds 4 MiB (append) or 16 MiB (access); above that, commands fail as unavailable.", size,
					q("sum by (lane) (parley_edge_lane_bytes{@})", "{{lane}}")),
				graph("Refused by full lanes", "None.", perS, q("sum by (lane, reason) (rate(parley_edge_lane_refused_total{@}[auto]))", "{{lane}} {{reason}}")),
				graph("Sent again", "None, except when rooms pods stop. A duplicate was already stored and gets the same answer again.", perS,
					q("sum(rate(parley_edge_append_retries_total{@}[auto]))", "batches sent again"), q("sum(rate(parley_rooms_duplicates_total{@}[auto]))", "duplicates found")),
				graph("Calls to rooms, p99", "Milliseconds.", seconds, p99By("parley_edge_rooms_call_seconds", "call")),
				graph("Failed calls to rooms", "None.", perS, q(`sum by (call) (rate(parley_edge_rooms_call_seconds_count{@, result="failed"}[auto]))`, "{{call}}")),
			}},
			{"Commit: rooms and PostgreSQL", []panel{
				graph("Arrival to commit", "A median of 1 ms. p99 depends on the disk's fsync.", seconds, times("parley_rooms_append_duration_seconds")...),
				graph("Refused appends by result", "forbidden, not_found and the like: users' mistakes. unavailable and internal: failures of Parley.", perS,
					q(`sum by (result) (rate(parley_rooms_appends_total{@, result!="ok"}[auto]))`, "{{result}}")).stack(),
				graph("Transactions that wait for a room", "Close to 0. Only one transaction at a time writes to a room.", count, q("sum by (pod) (parley_rooms_turns_waiting{@})", "{{pod}}")),
			}},
			{"Stream: rooms to Redis to edges", []panel{
				graph("Commit to Redis", "A few milliseconds.", seconds, times("parley_rooms_publish_lag_seconds")...),
				graph("Entries not published to Redis", "Few with order. redis: it is unreachable or refuses. full: it is too slow.", perS,
					q("sum by (reason) (rate(parley_rooms_publish_lost_total{@}[auto]))", "{{reason}}")),
				graph("Bytes that wait for Redis", "Close to 0; the limit is 32 MiB.", size, q("sum by (pod) (parley_rooms_publish_queue_bytes{@})", "{{pod}}")),
				graph("Reads of streams", "A few milliseconds.", seconds, times("parley_edge_stream_read_seconds")...),
				graph("Rooms that wait to be read or filled", "Close to 0.", count,
					q("sum(parley_edge_dirty_rooms{@})", "to be read"), q("sum(parley_edge_fills_in_flight{@})", "being filled")),
				graph("Failed reads of streams", "None.", perS, q("sum by (pod) (rate(parley_edge_stream_failures_total{@}[auto]))", "{{pod}}")),
			}},
			{"Fill: entries that Redis did not deliver", []panel{
				graph("Gaps and filled entries", "A few, when rooms pods overtake each other. All entries, while Redis is unreachable.", perS,
					q("sum(rate(parley_edge_holes_total{@}[auto]))", "gaps"), q("sum(rate(parley_edge_filled_entries_total{@}[auto]))", "entries filled")),
				graph("Time of a fill, p99", "Milliseconds. failed: only while rooms is unreachable.", seconds, p99By("parley_edge_fill_seconds", "result")),
				graph("Age of the heads", "Half a second. More: rooms can't reach its database.", seconds, q("max by (pod) (parley_rooms_heads_age_seconds{@})", "{{pod}}")),
			}},
			{"Delivery: edges to sockets", []panel{
				graph("Append to outboxes", "p99 of a few milliseconds.", seconds, times("parley_edge_fanout_seconds")...),
				graph("Append to the end of the write", "A little more than to the outboxes. Far more: clients that do not read.", seconds, times("parley_edge_delivery_seconds")...),
				graph("Writes to sockets", "Only writes with entries. Under load one write has many entries.", perS, q("sum by (pod) (rate(parley_edge_delivery_seconds_count{@}[auto]))", "{{pod}}")).stack(),
				heatmap("Send to ack", "One dark band below 10 ms. A second band: some pods or disks are slower than others.", "parley_edge_ack_seconds"),
				heatmap("Append to delivery", "One dark band below 10 ms. A band at 1 s: entries that arrived without Redis.", "parley_edge_delivery_seconds"),
			}},
		},
	}
}
