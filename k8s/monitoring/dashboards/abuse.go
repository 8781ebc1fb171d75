package main

func abuse() Dashboard {
	return Dashboard{
		name: "abuse", title: "Abuse", about: "Who asks for more than is good: rate limits, passwords, tokens, strangers.",
		rows: []row{
			{"Rate limits", []panel{
				graph("Refused by edges", "Close to 0. frames: such a socket is cut with 4429.", perS, q("sum by (limit) (rate(parley_edge_refused_total{@}[auto]))", "{{limit}}")).stack(),
				graph("Refused by rooms", "Close to 0: messages and rooms by HTTP.", perS, q("sum by (limit) (rate(parley_rooms_refused_total{@}[auto]))", "{{limit}}")).stack(),
				graph("Refused by auth", "Close to 0, but where many people share one address (PARLEY_TRUSTED_PROXIES).", perS,
					q("sum by (limit) (rate(parley_auth_refused_total{@}[auto]))", "{{limit}}")).stack(),
			}},
			{"Signing in", []panel{
				graph("Sign-ins", "Mostly ok. throttled: one account, many wrong passwords from one network.", perS,
					q("sum by (result) (rate(parley_auth_logins_total{@}[auto]))", "{{result}}")).stack(),
				graph("Tokens renewed", "ok; reused: a refresh token that was stolen or doubled, whose session was ended.", perS,
					q("sum by (result) (rate(parley_auth_refreshes_total{@}[auto]))", "{{result}}")).stack(),
				graph("Tokens issued", "Guests in bulk are a crowd or a script.", perS, q("sum by (kind) (rate(parley_auth_tokens_issued_total{@}[auto]))", "{{kind}}")).stack(),
				graph("Password hashes", "Under way below the bound, none waiting.", count,
					q("sum(parley_auth_hashes_in_flight{@})", "under way"), q("sum(parley_auth_hashes_waiting{@})", "waiting"), q("sum(parley_auth_hashes_max{@})", "bound")),
				graph("Time of a hash", "Tens of milliseconds, all alike: longer when the processors are busy.", seconds, times("parley_auth_hash_seconds")...),
				graph("Hashes refused", "None: people get “too many are signing in just now”.", perS, q("sum(rate(parley_auth_hashes_refused_total{@}[auto]))", "refused")),
			}},
			{"Strangers and floods", []panel{
				graph("Handshakes refused", "Few. rate_limited: one address, or a proxy that is not trusted.", perS,
					q(`sum by (result) (rate(parley_edge_connects_total{@, result!="ok"}[auto]))`, "{{result}}")).stack(),
				graph("Sockets cut", "4429 flooding, 4401 without a token in time, 1002, 1003, 1007 and 1009 no client of ours.", perS,
					q(`sum by (code) (rate(parley_edge_closed_total{@, code=~"1002|1003|1007|1009|4401|4429"}[auto]))`, "{{code}}")).stack(),
				graph("Questions who may enter", "Mostly ok; not_found in bulk is somebody who guesses names of rooms.", perS,
					q("sum by (result) (rate(parley_rooms_access_questions_total{@}[auto]))", "{{result}}")).stack(),
				graph("Unknown commands", "None.", perS, orNone(`parley_edge_commands_total{@, type="unknown"}`, "parley_edge_commands_total{@}", "unknown")),
				graph("HTTP refused, by status", "401 and 404 in small numbers.", perS,
					q(`sum by (code) (rate(parley_auth_http_request_seconds_count{@, code=~"4.."}[auto]))`, "auth {{code}}"),
					q(`sum by (code) (rate(parley_rooms_http_request_seconds_count{@, code=~"4.."}[auto]))`, "rooms {{code}}")),
				graph("No such path", "Scanners. Harmless.", perS,
					orNone(`parley_auth_http_request_seconds_count{@, route="none"}`, "parley_auth_http_request_seconds_count{@}", "auth"), orNone(`parley_rooms_http_request_seconds_count{@, route="none"}`, "parley_rooms_http_request_seconds_count{@}", "rooms"),
					orNone(`parley_web_http_request_seconds_count{@, code="404"}`, "parley_web_http_request_seconds_count{@}", "web")),
			}},
		},
	}
}
