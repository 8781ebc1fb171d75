package ratelimit

import (
	"strconv"
	"time"

	"golang.org/x/time/rate"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/limit"
)

// maxEarly bounds the frames of a socket that has not shown a token yet.
const maxEarly = 20

// refusedFrames is how many frames a refused command counts as: a client that does not wait as it is told, and
// goes on sending what is refused, is soon cut as flooding.
const refusedFrames = 10

// Socket is what one socket may do. Its reader alone uses it.
type Socket struct {
	limiter *Limiter
	address *budget // nil: refused
	user    *budget // nil: nobody's yet
	early   int     // frames before it was somebody's
}

// Open makes the budgets of a socket from an address. It is false where the address has too many: then the socket is
// refused, and is to be closed all the same.
func (l *Limiter) Open(address string) (Socket, bool) {
	s := Socket{limiter: l, address: l.addresses.take(address)}
	if s.address == nil {
		l.Refused(addressSockets).Inc()
	}
	return s, s.address != nil
}

// SignIn makes the socket somebody's. It is false where the user has too many.
func (s *Socket) SignIn(user chat.UserID) bool {
	if s.user = s.limiter.users.take(string(user)); s.user == nil {
		s.limiter.Refused(userSockets).Inc()
	}
	return s.user != nil
}

// SignedIn says whether the socket is somebody's.
func (s *Socket) SignedIn() bool { return s.user != nil }

// Close gives the socket's places back.
func (s *Socket) Close() {
	if s.user != nil {
		s.limiter.users.giveBack(s.user)
	}
	if s.address != nil {
		s.limiter.addresses.giveBack(s.address)
	}
}

// Frame counts a frame or a fragment of the client, whatever its kind. False says that it is one too many: flooding.
func (s *Socket) Frame() (counted bool) {
	limited := earlyFrames
	switch {
	case s.user != nil:
		limited = frames
		counted = s.user.frames == nil || s.user.frames.Allow()
	case s.early < maxEarly && s.address != nil:
		s.early++
		counted = s.address.frames == nil || s.address.frames.Allow()
	}
	if !counted {
		s.limiter.Refused(limited).Inc()
	}
	return counted
}

// Send takes a send of that many bytes to a room from the budgets of the user, of the address and of
// the room, or says when to come again: CodeRateLimited. A client that goes on all the same is flooding.
func (s *Socket) Send(room chat.RoomID, bytes int) (flooding bool, err error) {
	l := s.limiter
	of := l.rooms.take(strconv.FormatInt(int64(room), 10))
	defer l.rooms.giveBack(of)
	for _, of := range []struct {
		bucket  *rate.Limiter
		n       int
		limited string
	}{
		{s.user.sends, 1, sends},
		{s.address.sends, 1, addressSends},
		{s.address.bytes, bytes, addressBytes},
		{of.sends, 1, roomSends},
		{of.bytes, bytes, roomBytes},
	} {
		if flooding, err = s.allow(of.bucket, of.n, of.limited); err != nil {
			return flooding, err
		}
	}
	return false, nil
}

// Join takes a join from the budget of the user, as Send does.
func (s *Socket) Join() (flooding bool, err error) { return s.allow(s.user.joins, 1, joins) }

// allow takes n from the bucket of a limit, or says when to come again: CodeRateLimited.
func (s *Socket) allow(b *rate.Limiter, n int, limited string) (flooding bool, err error) {
	if b == nil || n == 0 {
		return false, nil
	}
	reservation := b.ReserveN(time.Now(), min(n, b.Burst()))
	wait := reservation.Delay()
	if wait == 0 {
		return false, nil
	}
	reservation.Cancel()
	s.limiter.Refused(limited).Inc()
	if all := s.user.frames; all != nil && !all.AllowN(time.Now(), min(refusedFrames, all.Burst())) {
		s.limiter.Refused(frames).Inc()
		flooding = true
	}
	return flooding, limit.TooMany(max(wait, time.Millisecond))
}
