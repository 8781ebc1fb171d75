package httpapi

import (
	"context"

	"github.com/gofiber/fiber/v2"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/lobby"
	"github.com/parley-chat/parley/pkg/roomsapi"
	"github.com/parley-chat/parley/pkg/webapi"
	"github.com/parley-chat/parley/services/rooms/internal/directory"
	"github.com/parley-chat/parley/services/rooms/internal/ledger"
)

// InternalRoutes mounts what edges call, each path behind the service credential.
func (a *API) InternalRoutes(r fiber.Router) {
	service := webapi.RequireService(a.credential)
	r.Post(roomsapi.PathAppend, service, answer(a.appendBatch))
	r.Post(roomsapi.PathAccess, service, answer(a.access))
	r.Post(roomsapi.PathTail, service, answer(a.tail))
	r.Post(roomsapi.PathEntries, service, answer(a.entries))
	r.Post(roomsapi.PathHistory, service, answer(a.history))
	r.Post(roomsapi.PathHeads, service, answer(a.heads))
	r.Post(lobby.PathEvents, service, answer(a.lobby))
}

// answer makes a handler of a call that takes one JSON object and answers with one.
func answer[Request, Answer any](call func(context.Context, Request) (Answer, error)) fiber.Handler {
	return func(c *fiber.Ctx) error {
		var request Request
		if err := webapi.Decode(c, &request); err != nil {
			return err
		}
		ctx, cancel := bounded(c)
		defer cancel()
		result, err := call(ctx, request)
		if err != nil {
			return err
		}
		return c.JSON(result)
	}
}

// appendBatch takes each entry's author from its token, never from the edge's word.
func (a *API) appendBatch(ctx context.Context, request roomsapi.AppendRequest) (roomsapi.AppendResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, appendTimeout)
	defer cancel()
	outcomes := make([]roomsapi.Outcome, len(request.Entries))
	entries, at := make([]ledger.Entry, 0, len(outcomes)), make([]int, 0, len(outcomes))
	for i := range request.Entries {
		asked := &request.Entries[i]
		claims, err := a.auth.Verifier.Verify(ctx, asked.Token)
		if err != nil {
			outcomes[i].Error = roomsapi.FromError(err)
			continue
		}
		at = append(at, i)
		entries = append(entries, ledger.Entry{
			Request: asked.Request, Tenant: claims.Tenant, Author: claims.User, Room: asked.Room, Kind: asked.Kind, Trace: asked.Traceparent,
		})
	}
	for n, outcome := range a.ledger.Append(ctx, entries) {
		outcomes[at[n]] = roomsapi.Outcome{Seq: outcome.Seq, Error: roomsapi.FromError(outcome.Err)}
	}
	return roomsapi.AppendResponse{Outcomes: outcomes}, nil
}

func (a *API) access(ctx context.Context, request roomsapi.AccessRequest) (roomsapi.AccessResponse, error) {
	questions := make([]directory.Question, len(request.Questions))
	for i, asked := range request.Questions {
		if asked.Token == "" {
			questions[i] = directory.Question{Slug: asked.Slug, Caller: directory.Caller{Tenant: chat.DefaultTenant}}
			continue
		}
		claims, err := a.auth.Verifier.Verify(ctx, asked.Token)
		questions[i] = directory.Question{Slug: asked.Slug, Err: err}
		questions[i].Caller = directory.Caller{Tenant: claims.Tenant, User: &claims.User}
	}
	answers, err := a.directory.Access(ctx, questions)
	return roomsapi.AccessResponse{Answers: answers}, err
}

func (a *API) tail(ctx context.Context, request roomsapi.TailRequest) (roomsapi.Range, error) {
	return a.ledger.Tail(ctx, request.Room, request.Limit, request.Bytes)
}

func (a *API) entries(ctx context.Context, request roomsapi.EntriesRequest) (roomsapi.Range, error) {
	if request.After < 0 || request.After > chat.MaxSeq {
		return roomsapi.Range{}, chat.Errorf(chat.CodeBadRequest, "after is no seq")
	}
	return a.ledger.Entries(ctx, request.Room, request.After, request.Limit, request.Bytes)
}

func (a *API) history(ctx context.Context, request roomsapi.HistoryRequest) (roomsapi.History, error) {
	if request.Before < 0 || request.Before > chat.MaxSeq {
		return roomsapi.History{}, chat.Errorf(chat.CodeBadRequest, "before is no seq")
	}
	page, err := a.ledger.History(ctx, request.Room, nil, request.Before, request.Limit)
	return roomsapi.History{Messages: page.Messages, HasMore: page.HasMore}, err
}

func (a *API) heads(context.Context, struct{}) (roomsapi.Heads, error) {
	return roomsapi.Heads{Heads: a.ledger.Heads().Recent()}, nil
}

func (a *API) lobby(ctx context.Context, request lobby.EventsRequest) (lobby.Page, error) {
	return a.directory.Lobby(ctx, request, a.now())
}
