package standalone

import (
	"fmt"
	"maps"
	"net"
	"net/url"
	"path/filepath"
	"slices"

	"github.com/parley-chat/parley/pkg/env"
	"github.com/parley-chat/parley/pkg/webapi"
)

// settings are what the standalone server reads besides what its services read.
type settings struct {
	listen, data string
	connections  webapi.Connections
	hosts        webapi.Hosts
}

func settingsFrom(r *env.Reader) settings {
	listen := r.String(listenVariable, listenDefault, "Where everything is served.")
	return settings{
		listen: listen, data: r.String(dataVariable, dataDefault, "The folder that keeps the data."),
		connections: webapi.ConnectionsFrom(r), hosts: webapi.HostsFrom(r, webapi.PublicURLFrom(r), listen),
	}
}

const (
	listenVariable = "PARLEY_LISTEN"
	listenPort     = "8000"
	listenDefault  = "127.0.0.1:" + listenPort

	dataVariable = "PARLEY_DATA"
	dataDefault  = "./data"
)

// Own says whether the standalone server answers a variable itself, so that nobody can set it.
func Own(variable string) bool {
	_, own := (&Server{}).own("")[variable]
	return own
}

// own are the variables that the standalone server answers itself, in the folder data: its stores are
// embedded, and its services call each other inside the process.
func (s *Server) own(data string) map[string]string {
	return map[string]string{
		"PARLEY_AUTH_DATABASE":      "sqlite:" + filepath.Join(data, "auth.db"),
		"PARLEY_ROOMS_DATABASE":     "sqlite:" + filepath.Join(data, "rooms.db"),
		"PARLEY_AUTH_URL":           "http://" + authHost,
		"PARLEY_ROOMS_URL":          "http://" + roomsHost,
		"PARLEY_SERVICE_CREDENTIAL": s.credential,
	}
}

// OnlyEdge are defaults of the edge for where there is no other edge to go to: nobody is sent there, and
// Ctrl-C shall not take longer than people wait.
func OnlyEdge() map[string]string {
	return map[string]string{"PARLEY_DRAIN_DELAY": "0s", "PARLEY_DRAIN_SPREAD": "0s", "PARLEY_DRAIN_GRACE": "3s", "PARLEY_EDGE_MAX_AGE": "0s"}
}

// cookieSuffix tells this server's cookies from those of others on the same host, by the port where browsers
// find it: cookies know no ports.
func cookieSuffix(environ func(string) (string, bool)) string {
	if public, _ := environ("PARLEY_PUBLIC_URL"); public != "" {
		u, err := url.Parse(public)
		if err != nil {
			return "" // refused elsewhere
		}
		return u.Port()
	}
	listen, _ := environ(listenVariable)
	if _, port, err := net.SplitHostPort(listen); err == nil && port != listenPort && port != "0" {
		return port
	}
	return ""
}

// Lookup is the environment as the services see it.
func (s *Server) Lookup(environ func(string) (string, bool)) func(string) (string, bool) {
	data, _ := environ(dataVariable)
	if data == "" {
		data = dataDefault
	}
	own, only := s.own(data), OnlyEdge()
	only["PARLEY_COOKIE_SUFFIX"] = cookieSuffix(environ)
	for _, name := range append(slices.Sorted(maps.Keys(own)), "PARLEY_REDIS") {
		if value, set := environ(name); set && value != "" {
			s.refused = append(s.refused, fmt.Sprintf("%s can't be chosen here: the standalone server has one of its own (separate services take it)", name))
		}
	}
	return func(name string) (string, bool) {
		if value, ok := own[name]; ok {
			return value, true
		}
		if value, set := environ(name); set && value != "" {
			return value, true
		}
		value, ok := only[name]
		return value, ok
	}
}
