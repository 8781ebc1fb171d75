package stream

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/roomsapi"
)

// Position is how far somebody has read a room's stream.
type Position struct {
	Room  Room
	After chat.Seq
}

const (
	readPage    = 256 // entries that one Read takes of each room at most
	readTimeout = 2 * time.Second
)

// Reader reads streams.
type Reader struct{ client redis.UniversalClient }

// NewReader reads through client.
func NewReader(client redis.UniversalClient) *Reader { return &Reader{client} }

// Read returns what the streams hold beyond each position, by room, in the order of seqs, in one
// round trip that never waits for more. A run may have holes, and ends before an entry that is not
// carried, or is empty because that comes first, or because its node of a cluster can't be read: the caller
// fills them from the log. Rooms without news are absent.
func (r *Reader) Read(ctx context.Context, positions []Position) (map[Room][]roomsapi.Entry, error) {
	if len(positions) == 0 {
		return nil, nil //nolint:nilnil // nothing asked, nothing read
	}
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	news := map[Room][]roomsapi.Entry{}
	if isCluster(r.client) {
		return news, r.readPartitions(ctx, positions, news)
	}
	return news, read(ctx, r.client, positions).collect(news)
}

// readPartitions reads each partition by a command of its own, all nodes at once.
func (r *Reader) readPartitions(ctx context.Context, positions []Position, news map[Room][]roomsapi.Entry) (err error) {
	byPartition := map[int][]Position{}
	for _, p := range positions {
		at := p.Room.partition()
		byPartition[at] = append(byPartition[at], p)
	}
	pipe := r.client.Pipeline()
	answers := make([]reading, 0, len(byPartition))
	for _, some := range byPartition {
		answers = append(answers, read(ctx, pipe, some))
	}
	_, _ = pipe.Exec(ctx) // each command has its error
	failed := 0
	for _, answer := range answers {
		if refused := answer.collect(news); refused != nil {
			failed, err = failed+1, refused
			for _, room := range answer.rooms {
				news[room] = []roomsapi.Entry{}
			}
		}
	}
	if failed < len(answers) {
		return nil
	}
	return err
}

// reading is an XREAD, and the rooms that it asks for by their keys.
type reading struct {
	*redis.XStreamSliceCmd

	rooms map[string]Room
}

func read(ctx context.Context, to redis.Cmdable, positions []Position) reading {
	keys := make([]string, 2*len(positions))
	rooms := make(map[string]Room, len(positions))
	for i, p := range positions {
		key := p.Room.Key("room")
		keys[i], keys[len(positions)+i] = key, strconv.FormatInt(int64(p.After), 10)+"-0"
		rooms[key] = p.Room
	}
	return reading{to.XRead(ctx, &redis.XReadArgs{Streams: keys, Count: readPage, Block: -1}), rooms}
}

// collect adds what was read to news.
func (r reading) collect(news map[Room][]roomsapi.Entry) error {
	streams, err := r.Result()
	if errors.Is(err, redis.Nil) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read streams: %w", err)
	}
	for _, s := range streams {
		news[r.rooms[s.Stream]] = decodeRun(s.Messages)
	}
	return nil
}

// decodeRun decodes entries up to the first that is not carried or not understood.
func decodeRun(messages []redis.XMessage) []roomsapi.Entry {
	entries := make([]roomsapi.Entry, 0, len(messages))
	for _, m := range messages {
		e, ok := decode(m.ID, m.Values)
		if !ok {
			break
		}
		entries = append(entries, e)
	}
	return entries
}

// decode reads one entry. A kind that this version does not know is passed on as it is.
func decode(id string, values map[string]any) (roomsapi.Entry, bool) {
	seq, ok := strings.CutSuffix(id, "-0")
	n, err := strconv.ParseInt(seq, 10, 64)
	if !ok || err != nil || n < 1 || n > chat.MaxSeq {
		return roomsapi.Entry{}, false
	}
	e := roomsapi.Entry{Seq: chat.Seq(n)}
	e.Kind, _ = values[fieldKind].(string)
	if text, ok := values[fieldMessage].(string); ok {
		about, err := strconv.ParseInt(text, 10, 64)
		if err != nil || about < 0 || about > chat.MaxSeq {
			return e, false
		}
		e.Message = chat.Seq(about)
	}
	if text, ok := values[fieldAt].(string); ok {
		e.AtMS, _ = strconv.ParseInt(text, 10, 64) // only measured with
	}
	e.Traceparent, _ = values[fieldTrace].(string)
	event, _ := values[fieldEvent].(string)
	e.Event = json.RawMessage(event)
	if state, ok := values[fieldState].(string); ok {
		e.State = json.RawMessage(state)
		if !isFrame(e.State) {
			return e, false
		}
	}
	return e, isFrame(e.Event)
}

// isFrame says whether raw can go out as it is: a JSON object, in one line, since an event stream's data
// ends with the line.
func isFrame(raw json.RawMessage) bool {
	return len(raw) > 0 && raw[0] == '{' && bytes.IndexByte(raw, '\n') < 0 && bytes.IndexByte(raw, '\r') < 0 && json.Valid(raw)
}
