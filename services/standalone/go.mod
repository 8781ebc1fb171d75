module github.com/parley-chat/parley/services/standalone

go 1.26.0

require github.com/parley-chat/parley/pkg v0.0.0

replace github.com/parley-chat/parley/pkg => ../../pkg

require (
	github.com/parley-chat/parley/services/auth v0.0.0
	github.com/parley-chat/parley/services/edge v0.0.0
	github.com/parley-chat/parley/services/rooms v0.0.0
	github.com/parley-chat/parley/services/web v0.0.0
)

require (
	github.com/jackc/pgpassfile v1.0.0 // indirect
	github.com/jackc/pgservicefile v0.0.0-20240606120523-5a60cdf6a761 // indirect
	github.com/jackc/pgx/v5 v5.12.0 // indirect
	golang.org/x/text v0.43.0 // indirect
)

replace (
	github.com/parley-chat/parley/services/auth => ../auth
	github.com/parley-chat/parley/services/edge => ../edge
	github.com/parley-chat/parley/services/rooms => ../rooms
	github.com/parley-chat/parley/services/web => ../web
)
