package main

func rollout() Dashboard {
	return Dashboard{
		name: "rollout", title: "Rollout", about: "For use during a deploy: whether the new version starts, users reconnect, and nothing is lost.",
		rows: []row{
			{"Versions", []panel{
				graph("Pods by version", "One line per service before and after the rollout, two during it.", count,
					q("count by (component, version) (parley_build_info{@})", "{{component}} {{version}}")).stack(),
				graph("Ready pods", "Never 0. While an edge is replaced, there is one edge more.", count, q("sum by (component) (parley_ready{@})", "{{component}}")),
				graph("Pods missing", "0, except for minutes. Needs kube-state-metrics.", count,
					q(`sum by (deployment) (kube_deployment_spec_replicas{namespace=~"$namespace", deployment=~".+-(auth|rooms|edge|web)"} - kube_deployment_status_replicas_available{namespace=~"$namespace", deployment=~".+-(auth|rooms|edge|web)"})`, "{{deployment}}")),
				table("Running versions", "The same version and commit for all services of a release.", []string{"namespace", "release", "component", "version", "commit", "goversion", "Value"},
					q("count by (namespace, release, component, version, commit, goversion) (parley_build_info{@})", "")),
			}},
			{"Draining edges", []panel{
				graph("Draining edges", "One or two at a time, each for up to PARLEY_DRAIN_GRACE.", count, q("sum(parley_edge_draining{@})", "draining")),
				graph("Moved sockets", "A drained socket is closed with 1012, and opened on another edge within PARLEY_DRAIN_SPREAD.", perS,
					q(`sum(rate(parley_edge_closed_total{@, code="1012"}[auto]))`, "closed with 1012"),
					q(`sum(rate(parley_edge_connects_total{@, result="ok"}[auto]))`, "opened"),
					q(`sum(rate(parley_edge_connects_total{@, result="draining"}[auto]))`, "refused, draining")),
				graph("Open sockets by pod", "Sockets move between the pods; their sum stays the same.", count, q("sum by (pod) (parley_edge_connections{@})", "{{pod}}")).stack(),
			}},
			{"Reconnecting users", []panel{
				graph("Resumes by source", "memory and log. refused: the client must load the room again.", perS,
					q("sum by (source) (rate(parley_edge_resumes_total{@}[auto]))", "{{source}}")).stack(),
				graph("Rooms opened", "One read per room and edge, not one per socket.", perS, q("sum by (result) (rate(parley_edge_room_opens_total{@}[auto]))", "{{result}}")).stack(),
				graph("Time to open a room", "Up to a second while thousands of rooms are opened at once.", seconds, times("parley_edge_room_open_seconds")...),
				graph("Tokens renewed", "ok, and again if an answer was lost.", perS, q("sum by (result) (rate(parley_auth_refreshes_total{@}[auto]))", "{{result}}")).stack(),
				graph("Failed sends", "0. Edges send the unfinished batches of a stopping pod again, to another one.", perS,
					orZero(`parley_edge_commands_total{@, type=~"send|edit|delete", result=~"unavailable|internal"}`, "parley_edge_commands_total{@}", "failed")),
				graph("Batches sent again", "Some, while rooms pods stop.", perS, q("sum(rate(parley_edge_append_retries_total{@}[auto]))", "batches")),
			}},
			{"Scaling", []panel{
				graph("Autoscalers", "Below their limit. Needs kube-state-metrics.", count,
					q(`max by (horizontalpodautoscaler) (kube_horizontalpodautoscaler_status_desired_replicas{namespace=~"$namespace", horizontalpodautoscaler=~".+-(auth|rooms|edge|web)"})`, "{{horizontalpodautoscaler}} wanted"),
					q(`max by (horizontalpodautoscaler) (kube_horizontalpodautoscaler_spec_max_replicas{namespace=~"$namespace", horizontalpodautoscaler=~".+-(auth|rooms|edge|web)"})`, "{{horizontalpodautoscaler}} limit")),
				graph("CPUs by service", "Follows the load. A throttled pod is slow.", count, q("sum by (component) (rate(process_cpu_seconds_total{@}[auto]))", "{{component}}")),
				graph("Starts", "One per pod and rollout. More: the pod crashes, see its log.", count, q("sum by (pod) (changes(process_start_time_seconds{@}[15m]))", "{{pod}}")),
			}},
		},
	}
}
