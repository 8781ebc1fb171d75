package main

func dependencies() Dashboard {
	return Dashboard{
		name: "dependencies", title: "Dependencies", about: "What Parley stands on: PostgreSQL, Redis, and what the services hear from each other.",
		rows: []row{
			{"PostgreSQL", []panel{
				graph("Connections to PostgreSQL", "in_use well below the bound.", count,
					q("sum by (state) (parley_rooms_database_connections{@})", "rooms {{state}}"), q("sum(parley_rooms_database_connections_max{@})", "rooms bound"),
					q("sum by (state) (parley_auth_database_connections{@})", "auth {{state}}"), q("sum(parley_auth_database_connections_max{@})", "auth bound")),
				graph("Callers that wait for PostgreSQL, mean", "0. At 1 somebody always waits: ParleyDatabasePoolWaits.", count,
					q("sum by (pod) (rate(parley_rooms_database_wait_seconds_total{@}[auto]))", "{{pod}}"),
					q("sum by (pod) (rate(parley_auth_database_wait_seconds_total{@}[auto]))", "{{pod}}")),
				graph("Waits for PostgreSQL", "Few; given up: none.", perS,
					q("sum(rate(parley_rooms_database_waits_total{@}[auto]))", "rooms"), q("sum(rate(parley_auth_database_waits_total{@}[auto]))", "auth"),
					q("sum(rate(parley_rooms_database_wait_aborts_total{@}[auto]))", "rooms, given up"), q("sum(rate(parley_auth_database_wait_aborts_total{@}[auto]))", "auth, given up")),
			}},
			{"Redis", []panel{
				graph("Answers pings", "1 for each service.", count, q("min by (component) (parley_redis_up{@})", "{{component}}")),
				graph("Time of a ping, slowest of a hundred", "A millisecond or two.", seconds, slowest("parley_redis_ping_seconds", "component")),
				graph("Connections to Redis", "in_use well below the bound.", count,
					q("sum by (component, state) (parley_redis_pool_connections{@})", "{{component}} {{state}}"), q("max(parley_redis_pool_connections_max{@})", "bound of one pod")),
				graph("Callers that wait for Redis, mean", "0.", count, q("sum by (pod) (rate(parley_redis_pool_wait_seconds_total{@}[auto]))", "{{pod}}")),
				graph("Waits for Redis, and dials", "Hardly any; dials after a failover.", perS,
					q("sum(rate(parley_redis_pool_waits_total{@}[auto]))", "waits"), q("sum(rate(parley_redis_pool_timeouts_total{@}[auto]))", "waits in vain"),
					q("sum(rate(parley_redis_pool_dials_total{@}[auto]))", "dials")),
				graph("Bells", "All edges hear; renewed: none. An edge that renews heard nothing of what came.", count,
					q("min(parley_edge_bells_up{@})", "all hear"), q("sum(increase(parley_edge_bells_renewed_total{@}[auto]))", "renewed")),
			}},
			{"What services hear from each other", []panel{
				graph("Since the lobby was heard", "A second or two. At PARLEY_GRACE edges hold back and rooms refuses.", seconds,
					q("max by (lobby) (time() - (parley_edge_lobby_heard_timestamp_seconds{@} > 0))", "edges from {{lobby}}"),
					q("max by (lobby) (time() - (parley_rooms_lobby_heard_timestamp_seconds{@} > 0))", "rooms from {{lobby}}")),
				graph("Lobby events not handled yet", "0 but for moments.", count,
					q("sum by (lobby) (parley_edge_lobby_behind_events{@})", "edges, {{lobby}}"), q("sum by (lobby) (parley_rooms_lobby_behind_events{@})", "rooms, {{lobby}}")),
				graph("Silence", "A second or two.", seconds, q("max by (pod) (parley_edge_silence_seconds{@})", "{{pod}}")),
				graph("Lobby begun anew", "None but after a restore.", count,
					q("sum by (lobby) (increase(parley_edge_lobby_renewed_total{@}[auto]))", "edges, {{lobby}}"), q("sum by (lobby) (increase(parley_rooms_lobby_renewed_total{@}[auto]))", "rooms, {{lobby}}")),
				graph("Edges that hold back", "None.", count, q("sum(parley_edge_held{@})", "edges")),
				graph("Since the last event of the lobby", "Any time: it says that something has come through.", seconds,
					q("min by (lobby) (time() - (parley_edge_lobby_event_timestamp_seconds{@} > 0))", "edges, {{lobby}}")),
			}},
			{"Keys and chores", []panel{
				stat("The signing key's age", "Up to PARLEY_KEY_ROTATION, 30 days by default.", seconds, plain(), q("time() - max(parley_auth_signing_key_created_timestamp_seconds{@})", "age")),
				stat("Until the key is replaced", "Above 0; none where PARLEY_KEY_ROTATION is 0.", seconds, []step{{0, "red"}, {0.1, "green"}},
					q("max(parley_auth_signing_key_retires_timestamp_seconds{@} > 0) - time()", "left")),
				stat("Since auth read the keys", "Up to 5 s.", seconds, []step{{0, "green"}, {60, "red"}}, q("time() - min(parley_auth_signing_keys_loaded_timestamp_seconds{@})", "since")),
				stat("Since auth swept", "Up to 10 minutes.", seconds, []step{{0, "green"}, {3600, "red"}}, q("time() - max(parley_auth_swept_timestamp_seconds{@} > 0)", "since")),
				graph("Since the public keys were fetched", "A minute at most.", seconds,
					q("max by (pod) (time() - (parley_edge_jwks_fetched_timestamp_seconds{@} > 0))", "{{pod}}"),
					q("max by (pod) (time() - (parley_rooms_jwks_fetched_timestamp_seconds{@} > 0))", "{{pod}}")).wide(half),
				graph("Since the last backup", "A day, if there is one a day. Only with the chart's backup and kube-state-metrics.", seconds,
					q(`time() - max by (cronjob) (kube_cronjob_status_last_successful_time{namespace=~"$namespace", cronjob=~".+-backup"})`, "{{cronjob}}")).wide(half),
			}},
		},
	}
}
