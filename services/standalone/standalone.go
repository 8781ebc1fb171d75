package main

import (
	"context"
	"io"
	"net"
	"net/netip"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/parley-chat/parley/pkg/lifecycle"
	"github.com/parley-chat/parley/pkg/process"
	"github.com/parley-chat/parley/pkg/stream"
	"github.com/parley-chat/parley/pkg/webapi"
	"github.com/parley-chat/parley/services/auth"
	"github.com/parley-chat/parley/services/edge"
	"github.com/parley-chat/parley/services/rooms"
	"github.com/parley-chat/parley/services/standalone/internal/datadir"
	"github.com/parley-chat/parley/services/web"
)

// The hosts by which the services know each other.
const (
	authHost  = "auth"
	roomsHost = "rooms"
)

// Sizes of a request's body, in bytes: those of the rooms service, which takes the largest.
const (
	publicBody   = 128 << 10
	internalBody = 8 << 20
)

// How long requests under way may take when the server stops. Those inside the process are over by
// then, since who makes them stops before who answers.
const (
	publicGrace   = 2 * time.Second
	internalGrace = 50 * time.Millisecond
)

// standalone puts the services together.
type standalone struct {
	out        io.Writer // for people
	credential string
	refused    []string // variables that were set and can't be
	address    net.Addr // where it listens, once it is built
}

// configs are what the services were told by the environment.
type configs struct {
	own     settings
	auth    auth.Config
	rooms   rooms.Config
	edge    edge.Config
	proxies []netip.Prefix
}

// door is how the public listener is served.
func (c configs) door(p *process.Process) webapi.Options {
	return webapi.Options{
		Service: "standalone", Log: p.Log, Registry: p.Registry, Tracer: p.Tracer, BodyLimit: publicBody, TrustedProxies: c.proxies,
		Secure: c.auth.Browsers.Secure, Hosts: c.own.hosts,
	}
}

// services are the four of them.
type services struct {
	auth  *auth.Service
	rooms *rooms.Service
	edge  *edge.Service
	web   *web.Service
}

// build is a process.Build: the stores, the services on one port, and a word of welcome. Where it
// fails the process ends, and with it what was opened.
func (s *standalone) build(ctx context.Context, p *process.Process) ([]lifecycle.Part, error) {
	c := configs{
		own: settingsFrom(p.Env), auth: auth.ConfigFrom(p.Env), rooms: rooms.ConfigFrom(p.Env), edge: edge.ConfigFrom(p.Env),
		proxies: webapi.TrustedProxiesFrom(p.Env),
	}
	for _, what := range s.refused {
		p.Env.Mistake("%s", what)
	}
	if err := p.Env.Err(); err != nil {
		return nil, err
	}
	dir, err := datadir.Open(c.own.data)
	if err != nil {
		return nil, err
	}
	redis, err := startRedis()
	if err != nil {
		return nil, err
	}
	lines := switchboard{}
	all, err := newServices(ctx, c, p, redis, lines)
	if err != nil {
		return nil, err
	}
	hint, err := firstAdmin(ctx, all.auth, c.auth)
	if err != nil {
		return nil, err
	}
	door := c.door(p)
	listener, err := webapi.Listen(ctx, listenVariable, c.own.listen, c.own.connections, door)
	if err != nil {
		return nil, err
	}
	s.address = listener.Addr()
	parts := []lifecycle.Part{{Name: "data folder", Component: held{dir}}, {Name: "embedded redis", Component: redis}, {Name: "redis watch", Component: stream.NewWatch(redis.client, p.Registry, p.Log, p.WarnFunc("redis"))}}
	parts = append(parts, all.parts(p, lines, listener, door)...)
	return append(parts, lifecycle.Part{Name: "welcome", Component: welcome{out: s.out, address: s.address, hint: hint}}), nil
}

func newServices(ctx context.Context, c configs, p *process.Process, redis *embeddedRedis, lines switchboard) (s services, err error) {
	if s.auth, err = auth.New(ctx, c.auth, auth.Deps{Log: p.Log, Registry: p.Registry, Tracer: p.Tracer, Now: time.Now, Redis: redis.client}); err != nil {
		return s, err
	}
	if s.rooms, err = rooms.New(ctx, c.rooms, rooms.Deps{Log: p.Log, Registry: p.Registry, Tracer: p.Tracer, Now: time.Now, Redis: redis.client, Dial: lines.dial}); err != nil {
		return s, err
	}
	if s.edge, err = edge.New(c.edge, edge.Deps{Log: p.Log, Registry: p.Registry, Tracer: p.Tracer, Now: time.Now, Redis: redis.client, Dial: lines.dial}); err != nil {
		return s, err
	}
	s.web, err = web.New()
	return s, err
}

// parts are the services' parts with their listeners, in the order of starting: each service comes
// after those that it calls.
func (s services) parts(p *process.Process, lines switchboard, listener net.Listener, door webapi.Options) []lifecycle.Part {
	serve := func(o webapi.Options, listener net.Listener, grace time.Duration, mounts ...func(fiber.Router)) lifecycle.Part {
		app := webapi.New(o)
		for _, mount := range mounts {
			mount(app)
		}
		return lifecycle.Part{Name: o.Service, Component: &webapi.Server{App: app, Listener: listener, Grace: grace}}
	}
	inside := func(name, host string, mount func(fiber.Router)) lifecycle.Part {
		o := webapi.Options{Service: name, Log: p.Log, Registry: p.Registry, Tracer: p.Tracer, BodyLimit: internalBody, Internal: true}
		return serve(o, lines.listen(host), internalGrace, mount)
	}
	parts := s.auth.Parts()
	parts = append(parts, inside("auth_internal", authHost, s.auth.InternalRoutes))
	parts = append(parts, s.rooms.Parts()...)
	parts = append(parts, inside("rooms_internal", roomsHost, s.rooms.InternalRoutes))
	parts = append(parts, s.edge.Parts()...)
	return append(parts,
		serve(door, listener, publicGrace, s.auth.Routes, s.edge.Routes, s.rooms.Routes, s.web.Routes),
		s.edge.Drain())
}
