package main

func rollout() Dashboard {
	return Dashboard{
		name: "rollout", title: "Rollout", about: "To be watched during a deploy: does the new version come up, do people come back, is anything lost?",
		rows: []row{
			{"Versions", []panel{
				graph("Pods by version", "One line per service before and after, two during.", count,
					q("count by (component, version) (parley_build_info{@})", "{{component}} {{version}}")).stack(),
				graph("Ready pods", "Never 0; for edges, one more than wanted while one is replaced.", count, q("sum by (component) (parley_ready{@})", "{{component}}")),
				graph("Pods missing", "0 but for minutes. Needs kube-state-metrics.", count,
					q(`sum by (deployment) (kube_deployment_spec_replicas{namespace=~"$namespace", deployment=~".+-(auth|rooms|edge|web)"} - kube_deployment_status_replicas_available{namespace=~"$namespace", deployment=~".+-(auth|rooms|edge|web)"})`, "{{deployment}}")),
				table("What runs", "One version and commit in each line of a release.", []string{"namespace", "release", "component", "version", "commit", "goversion", "Value"},
					q("count by (namespace, release, component, version, commit, goversion) (parley_build_info{@})", "")),
			}},
			{"Edges that go", []panel{
				graph("Draining edges", "One or two at a time, for up to PARLEY_DRAIN_GRACE.", count, q("sum(parley_edge_draining{@})", "draining")),
				graph("Sent elsewhere", "1012 is the drain; it comes back as a handshake elsewhere within PARLEY_DRAIN_SPREAD.", perS,
					q(`sum(rate(parley_edge_closed_total{@, code="1012"}[auto]))`, "closed with 1012"),
					q(`sum(rate(parley_edge_connects_total{@, result="ok"}[auto]))`, "opened"),
					q(`sum(rate(parley_edge_connects_total{@, result="draining"}[auto]))`, "refused, draining")),
				graph("Open sockets by pod", "They move; their sum stays.", count, q("sum by (pod) (parley_edge_connections{@})", "{{pod}}")).stack(),
			}},
			{"People who come back", []panel{
				graph("Resumed, by source", "memory and log; refused: the client has to load the room anew.", perS,
					q("sum by (source) (rate(parley_edge_resumes_total{@}[auto]))", "{{source}}")).stack(),
				graph("Rooms opened", "One read of each room and edge, not one of each socket.", perS, q("sum by (result) (rate(parley_edge_room_opens_total{@}[auto]))", "{{result}}")).stack(),
				graph("Time to open a room", "Up to a second while thousands are opened at once.", seconds, times("parley_edge_room_open_seconds")...),
				graph("Tokens renewed", "ok, and again where an answer got lost.", perS, q("sum by (result) (rate(parley_auth_refreshes_total{@}[auto]))", "{{result}}")).stack(),
				graph("Sends that failed", "0: what a pod leaves undone is sent again to the next.", perS,
					orNone(`parley_edge_commands_total{@, type=~"send|edit|delete", result=~"unavailable|internal"}`, "parley_edge_commands_total{@}", "failed")),
				graph("Batches sent again", "Some as pods of rooms end.", perS, q("sum(rate(parley_edge_append_retries_total{@}[auto]))", "batches")),
			}},
			{"Scaling", []panel{
				graph("Autoscalers", "Below their bound. Needs kube-state-metrics.", count,
					q(`max by (horizontalpodautoscaler) (kube_horizontalpodautoscaler_status_desired_replicas{namespace=~"$namespace", horizontalpodautoscaler=~".+-(auth|rooms|edge|web)"})`, "{{horizontalpodautoscaler}} wanted"),
					q(`max by (horizontalpodautoscaler) (kube_horizontalpodautoscaler_spec_max_replicas{namespace=~"$namespace", horizontalpodautoscaler=~".+-(auth|rooms|edge|web)"})`, "{{horizontalpodautoscaler}} bound")),
				graph("Processors by service", "Follows the load; a pod that is throttled is late.", count, q("sum by (component) (rate(process_cpu_seconds_total{@}[auto]))", "{{component}}")),
				graph("Starts", "One a pod and rollout. More: it dies, see its log.", count, q("sum by (pod) (changes(process_start_time_seconds{@}[15m]))", "{{pod}}")),
			}},
		},
	}
}
