package main

func abuse() Dashboard {
	return Dashboard{
		name: "abuse", title: "Abuse", about: "Signs of abuse: rate limits, wrong passwords, stolen tokens, floods.",
		rows: []row{
			{"Rate limits", []panel{
				graph("Refused by edges", "Close to 0. frames: the edge closes such a socket with 4429.", perS, q("sum by (limit) (rate(parley_edge_refused_total{@}[auto]))", "{{limit}}")).stack(),
				graph("Refused by rooms", "Close to 0. These are messages and rooms by HTTP.", perS, q("sum by (limit) (rate(parley_rooms_refused_total{@}[auto]))", "{{limit}}")).stack(),
				graph("Refused by auth", "Close to 0. Higher if many people share one address; check PARLEY_TRUSTED_PROXIES.", perS,
					q("sum by (limit) (rate(parley_auth_refused_total{@}[auto]))", "{{limit}}")).stack(),
			}},
			{"Signing in", []panel{
				graph("Sign-ins", "Mostly ok. throttled: many wrong passwords for one account from one network.", perS,
					q("sum by (result) (rate(parley_auth_logins_total{@}[auto]))", "{{result}}")).stack(),
				graph("Tokens renewed", "Only ok. reused: a refresh token was used twice, perhaps stolen, and its session was ended.", perS,
					q("sum by (result) (rate(parley_auth_refreshes_total{@}[auto]))", "{{result}}")).stack(),
				graph("Tokens issued", "Very many guests are a crowd or a script.", perS, q("sum by (kind) (rate(parley_auth_tokens_issued_total{@}[auto]))", "{{kind}}")).stack(),
				graph("Password hashes", "In flight below the limit, and none waiting.", count,
					q("sum(parley_auth_hashes_in_flight{@})", "in flight"), q("sum(parley_auth_hashes_waiting{@})", "waiting"), q("sum(parley_auth_hashes_max{@})", "limit")),
				graph("Time of a hash", "Tens of milliseconds, always about the same. Longer when the CPUs are busy.", seconds, times("parley_auth_hash_seconds")...),
				graph("Hashes refused", "None. Otherwise people can't sign in because too many others are signing in.", perS, q("sum(rate(parley_auth_hashes_refused_total{@}[auto]))", "refused")),
			}},
			{"Unknown clients and floods", []panel{
				graph("Handshakes refused", "Few. rate_limited: one client, or a proxy that is missing in PARLEY_TRUSTED_PROXIES.", perS,
					q(`sum by (result) (rate(parley_edge_connects_total{@, result!="ok"}[auto]))`, "{{result}}")).stack(),
				graph("Sockets closed for abuse", "Few. 4429: flooding. 4401: no token in time. 1002, 1003, 1007 and 1009: not a Parley client.", perS,
					q(`sum by (code) (rate(parley_edge_closed_total{@, code=~"1002|1003|1007|1009|4401|4429"}[auto]))`, "{{code}}")).stack(),
				graph("Access checks", "Mostly ok. Very many not_found: somebody guesses names of rooms.", perS,
					q("sum by (result) (rate(parley_rooms_access_questions_total{@}[auto]))", "{{result}}")).stack(),
				graph("Unknown commands", "None.", perS, orZero(`parley_edge_commands_total{@, type="unknown"}`, "parley_edge_commands_total{@}", "unknown")),
				graph("HTTP refused, by status", "Small numbers of 401 and 404.", perS,
					q(`sum by (code) (rate(parley_auth_http_request_seconds_count{@, code=~"4.."}[auto]))`, "auth {{code}}"),
					q(`sum by (code) (rate(parley_rooms_http_request_seconds_count{@, code=~"4.."}[auto]))`, "rooms {{code}}")),
				graph("Requests for unknown paths", "Any number: scanners, which are harmless.", perS,
					orZero(`parley_auth_http_request_seconds_count{@, route="none"}`, "parley_auth_http_request_seconds_count{@}", "auth"), orZero(`parley_rooms_http_request_seconds_count{@, route="none"}`, "parley_rooms_http_request_seconds_count{@}", "rooms"),
					orZero(`parley_web_http_request_seconds_count{@, code="404"}`, "parley_web_http_request_seconds_count{@}", "web")),
			}},
		},
	}
}
