package main

// objective describes the panels of one service-level objective.
type objective struct {
	name, title, good string
	target            float64 // as in rules/objectives.yaml; only for the colours
}

func objectives() []objective {
	return []objective{
		{"send", "Sends stored", "The share of valid sends, edits and deletes that were stored. Objective: 99.9 %.", 0.999},
		{"ack", "Acked within 256 ms", "Objective: 99 %. Usually 100.0 %, because acks take a few milliseconds.", 0.99},
		{"delivery", "Delivered within 512 ms", "From the append to the end of the write to a socket. Objective: 99 %. Without Redis, almost nothing is in time.", 0.99},
		{"resume", "Resumed", "The share of joins with a cursor that got the missed entries. Objective: 99.5 %.", 0.995},
	}
}

func overview() Dashboard {
	var kept, left []panel
	burn := panel{
		kind: "timeseries", title: "Burn rate over an hour", unit: count, width: half, height: 8,
		good: "Below 1 the budget lasts 30 days. 14.4 pages, and so does 6 over six hours.",
	}
	for _, o := range objectives() {
		bad := `sum(sum_over_time(parley:slo_bad:rate5m{@, slo="` + o.name + `"}[30d:5m])) / sum(sum_over_time(parley:slo_events:rate5m{@, slo="` + o.name + `"}[30d:5m]))`
		kept = append(kept, stat(o.title+", 30 days", o.good, share, []step{{0, "red"}, {o.target, "green"}}, q("1 - "+bad, o.title)))
		left = append(left, stat("Budget left: "+o.name, "The share of the failures allowed in 30 days that is left. Below 0 the objective is missed.", share,
			[]step{{0, "red"}, {0.01, "orange"}, {0.25, "green"}},
			q("1 - ("+bad+`) / (1 - max(parley:slo_objective:ratio{slo="`+o.name+`"}))`, o.title)))
		burn.queries = append(burn.queries, q(`max(parley:slo_burn:rate1h{@, slo="`+o.name+`"})`, o.name))
	}
	return Dashboard{
		name: "overview", title: "Overview", about: "The objectives, the firing alerts, and the traffic.",
		rows: []row{
			{"Objectives", append(kept, left...)},
			{"Now", []panel{
				burn,
				table("Firing alerts", "None. Each alert has a runbook in docs/runbooks.", []string{"alertname", "severity", "namespace", "component", "pod", "slo", "window"},
					q(`ALERTS{@, alertname=~"Parley.+", alertstate="firing"}`, "")).wide(half),
				stat("Open sockets", "One for each open page.", count, plain(), q("sum(parley_edge_connections{@})", "sockets")),
				stat("Pods that are not ready", "None, except for moments during a rollout.", count, redAboveZero(), q("count(parley_ready{@} == 0) or vector(0)", "pods")),
				stat("Pods without Redis", "None. Otherwise messages are late, and there is no presence.", count, redAboveZero(),
					q("count(parley_redis_up{@} == 0) or vector(0)", "pods")),
				stat("Edges that hold messages back", "None. Otherwise people get no new messages.", count, redAboveZero(), q("sum(parley_edge_held{@})", "edges")),
			}},
			{"Traffic", []panel{
				graph("Sends per second", "Follows the time of day. Mostly ok; unavailable and internal are failures of Parley.", perS,
					q(`sum by (result) (rate(parley_edge_commands_total{@, type=~"send|edit|delete"}[auto]))`, "{{result}}")).stack(),
				graph("Send to ack", "p99 of 5 ms if PostgreSQL has no other load.", seconds, times("parley_edge_ack_seconds")...),
				graph("Append to delivery", "p99 of 6 ms; up to 1.5 s without Redis.", seconds, times("parley_edge_delivery_seconds")...),
				graph("Sockets, polls and streams", "A step down: a pod or a network was lost. The sockets should be back on other pods within seconds.", count,
					q("sum(parley_edge_connections{@})", "sockets"), q("sum by (kind) (parley_edge_followers{@})", "{{kind}}")),
				graph("HTTP requests", "By service. The edge's are handshakes, event streams and long polls.", perS,
					q("sum(rate(parley_auth_http_request_seconds_count{@}[auto]))", "auth"), q("sum(rate(parley_rooms_http_request_seconds_count{@}[auto]))", "rooms"),
					q("sum(rate(parley_edge_http_request_seconds_count{@}[auto]))", "edge"), q("sum(rate(parley_web_http_request_seconds_count{@}[auto]))", "web")),
				graph("HTTP failures", "None. These are statuses of 500 and above.", perS,
					orZero(`parley_auth_http_request_seconds_count{@, code=~"5.."}`, "parley_auth_http_request_seconds_count{@}", "auth"),
					orZero(`parley_rooms_http_request_seconds_count{@, code=~"5.."}`, "parley_rooms_http_request_seconds_count{@}", "rooms"),
					orZero(`parley_edge_http_request_seconds_count{@, code=~"5.."}`, "parley_edge_http_request_seconds_count{@}", "edge"),
					orZero(`parley_web_http_request_seconds_count{@, code=~"5.."}`, "parley_web_http_request_seconds_count{@}", "web")),
			}},
		},
	}
}
