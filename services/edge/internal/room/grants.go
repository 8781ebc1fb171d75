package room

import (
	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/lobby"
	"github.com/parley-chat/parley/pkg/roomsapi"
)

// Reader is whom a grant is for: a kind of users, of which roomsapi.Class tells, or one user of the kind. A new
// generation of a user, as after a change of staff, is another reader.
type Reader struct {
	Kind       string
	User       chat.UserID
	Generation int64
}

// maxGrants bounds the grants of a room. Beyond it they are asked for again.
const maxGrants = 10_000

// grant is a decision of the rooms service that a reader may read the room: the version of the room's access that it
// was taken at (0 from a release that has none), and the seq of the lobby.
type grant struct {
	version int64
	lobby   chat.Seq
}

// changes are what the lobby has told of a room so far, as far as it ends grants.
type changes struct {
	event       chat.Seq // the last event
	unversioned chat.Seq // the last event of a release that has no versions, which ends every grant of before
	version     int64    // the highest version told of
}

func (c *changes) add(e lobby.Event) {
	c.event = max(c.event, e.Seq)
	if e.AccessVersion == 0 {
		c.unversioned = max(c.unversioned, e.Seq)
	}
	c.version = max(c.version, e.AccessVersion)
}

// end says whether the changes end a grant.
func (c *changes) end(g grant) bool {
	if g.version == 0 {
		return g.lobby < c.event
	}
	return g.version < c.version || g.lobby < c.unversioned
}

// grants are who is known to have access to a room, by a decision that no later event has put in doubt.
type grants struct {
	changes changes
	given   map[Reader]grant // for all of a kind: with the kind alone
}

func (g *grants) add(e lobby.Event) {
	g.changes.add(e)
	for reader, one := range g.given {
		if g.changes.end(one) {
			delete(g.given, reader)
		}
	}
}

func (g *grants) holds(r Reader) bool {
	if _, kind := g.given[Reader{Kind: r.Kind}]; kind {
		return true
	}
	_, own := g.given[r]
	return own
}

// Grant remembers a decision that a reader may read the room. It returns false if a later event on the room has been
// handled: the decision must be asked for again.
func (r *Room) Grant(reader Reader, access roomsapi.Access) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	one := grant{access.Version, access.Lobby}
	if r.grants.changes.end(one) {
		return false
	}
	if access.ForAll {
		reader = Reader{Kind: reader.Kind}
	}
	if len(r.grants.given) >= maxGrants {
		clear(r.grants.given) // members stay members without
	}
	r.grants.given[reader] = one
	return true
}

// Admits says whether the reader is known to have access.
func (r *Room) Admits(reader Reader) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.grants.holds(reader) && !r.gone && !r.closed
}
