package follow

import (
	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/limit"
	"github.com/parley-chat/parley/services/edge/internal/ratelimit"
)

// Open is how many long polls and event streams may be open at once, of one user and of one address; 0 is no
// limit.
type Open struct{ UserPolls, AddressPolls, UserStreams, AddressStreams int }

// open counts them.
type open struct{ polls, streams places }

func newOpen(o Open, l *ratelimit.Limiter) open {
	return open{
		polls:   places{limit.NewOpen(o.UserPolls, l.Refused(ratelimit.UserPolls)), limit.NewOpen(o.AddressPolls, l.Refused(ratelimit.AddressPolls))},
		streams: places{limit.NewOpen(o.UserStreams, l.Refused(ratelimit.UserStreams)), limit.NewOpen(o.AddressStreams, l.Refused(ratelimit.AddressStreams))},
	}
}

// places are those of one kind.
type places struct{ users, addresses *limit.Open }

// take opens one more for a user of an address, until release is called. Nobody signed in ("") is bounded by
// the address alone: many may share it.
func (p places) take(address string, user chat.UserID) (release func(), err error) {
	if err := p.addresses.Take(address); err != nil {
		return nil, err
	}
	if user == "" {
		return func() { p.addresses.Release(address) }, nil
	}
	if err := p.users.Take(string(user)); err != nil {
		p.addresses.Release(address)
		return nil, err
	}
	return func() {
		p.users.Release(string(user))
		p.addresses.Release(address)
	}, nil
}
