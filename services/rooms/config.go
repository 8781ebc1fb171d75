package rooms

import (
	"time"

	"github.com/parley-chat/parley/pkg/database"
	"github.com/parley-chat/parley/pkg/env"
	"github.com/parley-chat/parley/pkg/limit"
	"github.com/parley-chat/parley/pkg/webapi"
	"github.com/parley-chat/parley/services/rooms/internal/access"
	"github.com/parley-chat/parley/services/rooms/internal/httpapi"
)

// Config is what an operator may choose.
type Config struct {
	Database   string // postgres:// URL, or sqlite: and a path
	AuthURLs   []string
	Credential string
	Issuer     string
	Browsers   webapi.Browsers
	Rules      access.Rules
	Seed       bool
	Grace      time.Duration
	Limits     httpapi.Limits
}

// ConfigFrom reads the configuration of the service from the environment.
func ConfigFrom(r *env.Reader) Config {
	return Config{
		Database:   DatabaseFrom(r),
		AuthURLs:   r.URLs("PARLEY_AUTH_URL", "Base URLs of auth's internal listener, such as `http://auth:8081`, comma-separated. Of a name every address is a pod; it is looked up again every few seconds."),
		Credential: webapi.CredentialFrom(r),
		Issuer:     r.String("PARLEY_ISSUER", "parley", "The issuer that access tokens must name."),
		Browsers:   webapi.BrowsersFrom(r),
		Rules: access.Rules{
			UsersCreate: r.Bool("PARLEY_ROOMS_USERS_CREATE", true, "Whether people with an account may make rooms; otherwise staff alone."),
			StaffEdit:   r.Bool("PARLEY_ROOMS_STAFF_EDIT", false, "Whether staff may rewrite messages of others."),
			StaffDelete: r.Bool("PARLEY_ROOMS_STAFF_DELETE", true, "Whether staff may delete messages of others."),
		},
		Seed:  r.Bool("PARLEY_ROOMS_SEED", true, "Whether an empty database gets the rooms `general` and `staff` at the first start."),
		Grace: r.Duration("PARLEY_GRACE", 30*time.Second, "How long a service that can't reach auth or rooms goes on by what it last heard."),
		Limits: httpapi.Limits{
			Creates:      limit.From(r, "ROOM_CREATE", limit.Rate{PerSecond: 0.1, Burst: 10}, "Rooms that one user makes"),
			Changes:      limit.From(r, "ROOM_CHANGE", limit.Rate{PerSecond: 0.5, Burst: 20}, "Changes and deletions of rooms by one user, each told to everyone who may know of the room,"),
			Sends:        limit.From(r, "SENDS_HTTP", limit.Rate{PerSecond: 10, Burst: 50}, "Messages that one user sends, edits and deletes by HTTP"),
			SendsAddress: limit.From(r, "SENDS_HTTP_ADDRESS", limit.Rate{PerSecond: 50, Burst: 300}, "Messages that all users of one address send, edit and delete by HTTP"),
			SendsRoom:    limit.From(r, "SENDS_HTTP_ROOM", limit.Rate{PerSecond: 100, Burst: 500}, "Messages of one room that all users send, edit and delete by HTTP"),
			Reads:        limit.ReadsFrom(r),
			ReadsAddress: limit.From(r, "READS_ADDRESS", limit.Rate{PerSecond: 50, Burst: 500}, "Lists of rooms, single rooms and pages of history that one address reads without signing in"),
		},
	}
}

// DatabaseFrom reads PARLEY_ROOMS_DATABASE.
func DatabaseFrom(r *env.Reader) string {
	return database.From(r, "PARLEY_ROOMS_DATABASE", "Where rooms are kept")
}
