//go:build linux

package soak

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/client"
)

// visitor takes one seat, visit after visit.
type visitor struct {
	crowd  *crowd
	random *rand.Rand
	name   string
}

// about is a time around d, from a tenth of it to four times as long.
func (v *visitor) about(d time.Duration) time.Duration {
	return min(max(d/10, time.Duration(v.random.ExpFloat64()*float64(d))), 4*d)
}

// choice is something to do, as often as its weight says.
type choice struct {
	weight int
	do     func(ctx context.Context)
}

func (v *visitor) choose(ctx context.Context, choices []choice) {
	all := 0
	for _, c := range choices {
		all += c.weight
	}
	n := v.random.IntN(all)
	for _, c := range choices {
		if n -= c.weight; n < 0 {
			c.do(ctx)
			return
		}
	}
}

func (v *visitor) visit(ctx context.Context) {
	v.choose(ctx, []choice{{12, v.bySocket}, {2, v.byPolls}, {2, v.byStream}, {2, v.byTokens}, {1, v.byLooking}})
}

// signIn signs in as the seat's account, made at first, or as a guest.
func (v *visitor) signIn(ctx context.Context) (client.SignIn, bool) {
	c := v.crowd
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	if v.random.IntN(4) == 0 {
		signIn, err := c.api.Guest(ctx, "Guest "+v.name)
		return signIn, c.notes.tell("guests", err)
	}
	signIn, err := c.api.Login(ctx, v.name, userPassword)
	if chat.CodeOf(err) == chat.CodeUnauthenticated {
		signIn, err = c.api.Signup(ctx, v.name, userPassword)
		return signIn, c.notes.tell("sign-ups", err)
	}
	return signIn, c.notes.tell("logins", err)
}

// maybeLogOut ends half of the sessions; the others are left to their age.
func (v *visitor) maybeLogOut(ctx context.Context, keeper *client.Refresher) {
	if v.random.IntN(2) == 0 {
		v.logOut(ctx, keeper)
	}
}

// logOut goes through though the soak may be over: somebody who logs out wants to be out.
func (v *visitor) logOut(ctx context.Context, keeper *client.Refresher) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), answerTimeout)
	defer cancel()
	token, err := keeper.Token(ctx, "")
	if err == nil {
		err = v.crowd.api.Logout(ctx, token.Access)
	}
	v.crowd.notes.tell("logouts", err)
}

// byTokens signs in, renews its tokens and logs out, and talks by HTTP in between, as a bot does.
func (v *visitor) byTokens(ctx context.Context) {
	c := v.crowd
	signIn, ok := v.signIn(ctx)
	if !ok {
		return
	}
	for range 1 + v.random.IntN(4) {
		next, err := c.api.Refresh(ctx, signIn.RefreshToken)
		if !c.notes.tell("refreshes", err) {
			return
		}
		signIn = next
		_, err = c.api.Me(ctx, signIn.AccessToken)
		c.notes.tell("asked who it is", err)
		for _, room := range c.rooms.some(v.random, 1) {
			v.talkByHTTP(ctx, signIn.AccessToken, room)
		}
		if pause(ctx, v.about(3*time.Second)) != nil {
			break
		}
	}
	v.maybeLogOut(ctx, c.api.Refresher(signIn))
}

func (v *visitor) talkByHTTP(ctx context.Context, token string, room chat.Slug) {
	c := v.crowd
	message, err := c.api.Send(ctx, token, room, client.Outgoing{Body: v.text()})
	if !c.notes.tell("sent by HTTP", err) {
		return
	}
	if v.random.IntN(2) == 0 {
		_, err = c.api.Edit(ctx, token, room, message.ID, v.text(), "")
		c.notes.tell("edited by HTTP", err)
	}
	if v.random.IntN(2) == 0 {
		_, err = c.api.Delete(ctx, token, room, message.ID)
		c.notes.tell("deleted by HTTP", err)
	}
}

// byLooking looks around without signing in.
func (v *visitor) byLooking(ctx context.Context) {
	c := v.crowd
	page, err := c.api.Rooms(ctx, "", "", "", 5)
	if !c.notes.tell("lists of rooms", err) {
		return
	}
	if page.Next != "" {
		_, err = c.api.Rooms(ctx, "", "", page.Next, 5)
		c.notes.tell("lists of rooms", err)
	}
	for _, room := range page.Rooms {
		_, err = c.api.Messages(ctx, "", room.Slug, client.MessageQuery{Limit: 20})
		c.notes.tell("pages of history", err)
	}
}

// text is of any length, short as a rule, now and then too long to be carried by Redis.
func (v *visitor) text() string {
	n := int(v.random.ExpFloat64() * 120)
	if v.random.IntN(50) == 0 {
		n = 5000 + v.random.IntN(5000)
	}
	return fmt.Sprintf("%x %0*d", v.random.Uint64(), min(n, chat.MaxBodyBytes-20), 0)
}
