package main

// objective is what the overview tells of one of the four.
type objective struct {
	name, title, good string
	bar               float64 // as in rules/objectives.yaml, for the colours alone
}

func objectives() []objective {
	return []objective{
		{"send", "Sends stored", "Of the sends, edits and deletes that were ours to carry out. Objective: 99.9 %.", 0.999},
		{"ack", "Acked within 256 ms", "Objective: 99 %. Ordinary is 100.0 %: acks take a few milliseconds.", 0.99},
		{"delivery", "Delivered within 512 ms", "From the append to the end of the write to a socket. Objective: 99 %. Without Redis, next to nothing.", 0.99},
		{"resume", "Resumed", "Joins with a cursor that got what they had missed. Objective: 99.5 %.", 0.995},
	}
}

func overview() Dashboard {
	var kept, left []panel
	burn := panel{
		kind: "timeseries", title: "Burn rate over an hour", unit: count, width: half, height: 8,
		good: "Below 1 the budget of 30 days lasts. 14.4 pages, as does 6 over six hours.",
	}
	for _, o := range objectives() {
		bad := `sum(sum_over_time(parley:slo_bad:rate5m{@, slo="` + o.name + `"}[30d:5m])) / sum(sum_over_time(parley:slo_events:rate5m{@, slo="` + o.name + `"}[30d:5m]))`
		kept = append(kept, stat(o.title+", 30 days", o.good, share, []step{{0, "red"}, {o.bar, "green"}}, q("1 - "+bad, o.title)))
		left = append(left, stat("Budget left: "+o.name, "What is left of the failures that 30 days may have. Below 0 the objective is missed.", share,
			[]step{{0, "red"}, {0.01, "orange"}, {0.25, "green"}},
			q("1 - ("+bad+`) / (1 - max(parley:slo_objective:ratio{slo="`+o.name+`"}))`, o.title)))
		burn.queries = append(burn.queries, q(`max(parley:slo_burn:rate1h{@, slo="`+o.name+`"})`, o.name))
	}
	return Dashboard{
		name: "overview", title: "Overview", about: "Is all well? The objectives, what fires, and how much there is to do.",
		rows: []row{
			{"Objectives", append(kept, left...)},
			{"Now", []panel{
				burn,
				table("Alerts that fire", "None. Each has a runbook: docs/runbooks.", []string{"alertname", "severity", "namespace", "component", "pod", "slo", "window"},
					q(`ALERTS{@, alertname=~"Parley.+", alertstate="firing"}`, "")).wide(half),
				stat("Open sockets", "As many as there are people with a page open.", count, plain(), q("sum(parley_edge_connections{@})", "sockets")),
				stat("Pods that are not ready", "None, but for moments of a rollout.", count, noneIsGood(), q("count(parley_ready{@} == 0) or vector(0)", "pods")),
				stat("Pods without Redis", "None. Otherwise messages are late, and nobody sees who is there.", count, noneIsGood(),
					q("count(parley_redis_up{@} == 0) or vector(0)", "pods")),
				stat("Edges that hold back", "None. Otherwise people see nothing new.", count, noneIsGood(), q("sum(parley_edge_held{@})", "edges")),
			}},
			{"Traffic", []panel{
				graph("Sends a second", "Follows the day, and is ok. unavailable and internal are us.", perS,
					q(`sum by (result) (rate(parley_edge_commands_total{@, type=~"send|edit|delete"}[auto]))`, "{{result}}")).stack(),
				graph("Send to ack", "p99 of 5 ms where PostgreSQL has nothing else to do.", seconds, times("parley_edge_ack_seconds")...),
				graph("Append to delivery", "p99 of 6 ms; up to 1.5 s without Redis.", seconds, times("parley_edge_delivery_seconds")...),
				graph("Sockets, polls and streams", "A step down is a lost pod or a network; it should come back within seconds, on the others.", count,
					q("sum(parley_edge_connections{@})", "sockets"), q("sum by (kind) (parley_edge_followers{@})", "{{kind}}")),
				graph("HTTP requests", "By service. The edge's are handshakes, event streams and long polls.", perS,
					q("sum(rate(parley_auth_http_request_seconds_count{@}[auto]))", "auth"), q("sum(rate(parley_rooms_http_request_seconds_count{@}[auto]))", "rooms"),
					q("sum(rate(parley_edge_http_request_seconds_count{@}[auto]))", "edge"), q("sum(rate(parley_web_http_request_seconds_count{@}[auto]))", "web")),
				graph("HTTP failures", "None: statuses of 500 and above.", perS,
					orNone(`parley_auth_http_request_seconds_count{@, code=~"5.."}`, "parley_auth_http_request_seconds_count{@}", "auth"),
					orNone(`parley_rooms_http_request_seconds_count{@, code=~"5.."}`, "parley_rooms_http_request_seconds_count{@}", "rooms"),
					orNone(`parley_edge_http_request_seconds_count{@, code=~"5.."}`, "parley_edge_http_request_seconds_count{@}", "edge"),
					orNone(`parley_web_http_request_seconds_count{@, code=~"5.."}`, "parley_web_http_request_seconds_count{@}", "web")),
			}},
		},
	}
}
