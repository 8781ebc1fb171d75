package main

func dependencies() Dashboard {
	return Dashboard{
		name: "dependencies", title: "Dependencies", about: "What Parley depends on: PostgreSQL, Redis, and the events between the services.",
		rows: []row{
			{"PostgreSQL", []panel{
				graph("Connections to PostgreSQL", "in_use well below the limit.", count,
					q("sum by (state) (parley_rooms_database_connections{@})", "rooms {{state}}"), q("sum(parley_rooms_database_connections_max{@})", "rooms limit"),
					q("sum by (state) (parley_auth_database_connections{@})", "auth {{state}}"), q("sum(parley_auth_database_connections_max{@})", "auth limit")),
				graph("Callers that wait for PostgreSQL, mean", "0. At 1 there is always a caller that waits: ParleyDatabasePoolWaits fires.", count,
					q("sum by (pod) (rate(parley_rooms_database_wait_seconds_total{@}[auto]))", "{{pod}}"),
					q("sum by (pod) (rate(parley_auth_database_wait_seconds_total{@}[auto]))", "{{pod}}")),
				graph("Waits for PostgreSQL", "Few, and none given up.", perS,
					q("sum(rate(parley_rooms_database_waits_total{@}[auto]))", "rooms"), q("sum(rate(parley_auth_database_waits_total{@}[auto]))", "auth"),
					q("sum(rate(parley_rooms_database_wait_aborts_total{@}[auto]))", "rooms, given up"), q("sum(rate(parley_auth_database_wait_aborts_total{@}[auto]))", "auth, given up")),
			}},
			{"Redis", []panel{
				graph("Redis answers pings", "1 for each service.", count, q("min by (component) (parley_redis_up{@})", "{{component}}")),
				graph("Time of a ping, p99", "A millisecond or two.", seconds, p99By("parley_redis_ping_seconds", "component")),
				graph("Connections to Redis", "in_use well below the limit.", count,
					q("sum by (component, state) (parley_redis_pool_connections{@})", "{{component}} {{state}}"), q("max(parley_redis_pool_connections_max{@})", "limit of one pod")),
				graph("Callers that wait for Redis, mean", "0.", count, q("sum by (pod) (rate(parley_redis_pool_wait_seconds_total{@}[auto]))", "{{pod}}")),
				graph("Waits for Redis, and dials", "Hardly any. There are dials after a failover.", perS,
					q("sum(rate(parley_redis_pool_waits_total{@}[auto]))", "waits"), q("sum(rate(parley_redis_pool_timeouts_total{@}[auto]))", "timeouts"),
					q("sum(rate(parley_redis_pool_dials_total{@}[auto]))", "dials")),
				graph("Subscriptions to room notifications", "1: all edges are subscribed. None renewed: an edge renews a subscription that delivered nothing.", count,
					q("min(parley_edge_bells_up{@})", "all subscribed"), q("sum(increase(parley_edge_bells_renewed_total{@}[auto]))", "renewed")),
			}},
			{"Events between the services", []panel{
				graph("Since the last contact with the lobby", "A second or two. From PARLEY_GRACE on, edges hold messages back and rooms refuses calls.", seconds,
					q("max by (lobby) (time() - (parley_edge_lobby_heard_timestamp_seconds{@} > 0))", "edges from {{lobby}}"),
					q("max by (lobby) (time() - (parley_rooms_lobby_heard_timestamp_seconds{@} > 0))", "rooms from {{lobby}}")),
				graph("Lobby events not handled yet", "0, except for moments.", count,
					q("sum by (lobby) (parley_edge_lobby_behind_events{@})", "edges, {{lobby}}"), q("sum by (lobby) (parley_rooms_lobby_behind_events{@})", "rooms, {{lobby}}")),
				graph("Since an edge reached auth and rooms", "A second or two.", seconds, q("max by (pod) (parley_edge_silence_seconds{@})", "{{pod}}")),
				graph("Lobby started over", "None, except after a restore.", count,
					q("sum by (lobby) (increase(parley_edge_lobby_renewed_total{@}[auto]))", "edges, {{lobby}}"), q("sum by (lobby) (increase(parley_rooms_lobby_renewed_total{@}[auto]))", "rooms, {{lobby}}")),
				graph("Edges that hold messages back", "None.", count, q("sum(parley_edge_held{@})", "edges")),
				graph("Since the last event of the lobby", "Any time. It shows when the last event arrived.", seconds,
					q("min by (lobby) (time() - (parley_edge_lobby_event_timestamp_seconds{@} > 0))", "edges, {{lobby}}")),
			}},
			{"Keys and maintenance", []panel{
				stat("Age of the signing key", "Up to PARLEY_KEY_ROTATION, 30 days by default.", seconds, plain(), q("time() - max(parley_auth_signing_key_created_timestamp_seconds{@})", "age")),
				stat("Until the key is replaced", "Above 0. No value if PARLEY_KEY_ROTATION is 0.", seconds, []step{{0, "red"}, {0.1, "green"}},
					q("max(parley_auth_signing_key_retires_timestamp_seconds{@} > 0) - time()", "left")),
				stat("Since auth read the keys", "Up to 5 s.", seconds, []step{{0, "green"}, {60, "red"}}, q("time() - min(parley_auth_signing_keys_loaded_timestamp_seconds{@})", "since")),
				stat("Since auth deleted expired data", "Up to 10 minutes.", seconds, []step{{0, "green"}, {3600, "red"}}, q("time() - max(parley_auth_swept_timestamp_seconds{@} > 0)", "since")),
				graph("Since the public keys were fetched", "A minute at most.", seconds,
					q("max by (pod) (time() - (parley_edge_jwks_fetched_timestamp_seconds{@} > 0))", "{{pod}}"),
					q("max by (pod) (time() - (parley_rooms_jwks_fetched_timestamp_seconds{@} > 0))", "{{pod}}")).wide(half),
				graph("Since the last backup", "Up to the backup interval, such as a day. Needs the chart's backup and kube-state-metrics.", seconds,
					q(`time() - max by (cronjob) (kube_cronjob_status_last_successful_time{namespace=~"$namespace", cronjob=~".+-backup"})`, "{{cronjob}}")).wide(half),
			}},
		},
	}
}
