package history

import (
	"cmp"
	"slices"
	"time"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/roomsapi"
)

// Row is an entry of a log as it stands now: a message that was edited has its last body.
type Row struct {
	Seq     chat.Seq
	Kind    string
	Message chat.Seq // that the entry is about
	Author  chat.UserID
	Nonce   string
	Body    string
	Deleted bool
}

// Log is a room's log, oldest entry first.
type Log struct {
	Room chat.Slug
	Name chat.LogID
	Rows []Row

	index *index
}

// index is what is looked up in a log.
type index struct {
	nonces  map[string][]chat.Seq
	deleted map[chat.Seq]chat.Seq // message → the entry that deleted it
}

// Nonce is where a log has the messages of a nonce.
func (l *Log) Nonce(nonce string) []chat.Seq { return l.indexed().nonces[nonce] }

// Deletion is the entry that deleted a message.
func (l *Log) Deletion(message chat.Seq) (seq chat.Seq, deleted bool) {
	seq, deleted = l.indexed().deleted[message]
	return seq, deleted
}

func (l *Log) indexed() *index {
	if l.index == nil {
		l.index = &index{nonces: map[string][]chat.Seq{}, deleted: map[chat.Seq]chat.Seq{}}
		for i := range l.Rows {
			switch r := &l.Rows[i]; {
			case r.Kind == KindDeleted:
				l.index.deleted[r.Message] = r.Seq
			case r.Nonce != "":
				l.index.nonces[r.Nonce] = append(l.index.nonces[r.Nonce], r.Seq)
			}
		}
	}
	return l.index
}

// At finds the entry seq, nil for none.
func (l *Log) At(seq chat.Seq) *Row {
	if l == nil {
		return nil
	}
	i, found := slices.BinarySearchFunc(l.Rows, seq, func(r Row, seq chat.Seq) int { return cmp.Compare(r.Seq, seq) })
	if !found {
		return nil
	}
	return &l.Rows[i]
}

// Head is the log's end.
func (l *Log) Head() chat.Seq {
	if l == nil || len(l.Rows) == 0 {
		return 0
	}
	return l.Rows[len(l.Rows)-1].Seq
}

// Epoch is the time from one restore from a backup to the next, with the logs as they were at its end.
type Epoch struct {
	// Began is when the services served from these logs; what was acked later is in them, or in those of
	// a later epoch.
	Began time.Time
	// BackupBegan is when the backup that these logs come from was started: what was acked before it in the epoch
	// before is in them. What was acked after it may be gone.
	BackupBegan time.Time
	Logs        map[chat.Slug]*Log
}

// Did says whether a row is what an acked operation did.
func (r *Row) Did(d *Operation) bool {
	if r == nil {
		return false
	}
	switch d.Kind {
	case roomsapi.KindSend:
		return r.Kind == KindMessage && r.Nonce == d.Nonce && (r.Author == d.Author || d.Author == "")
	case roomsapi.KindEdit:
		return r.Kind == KindEdited && r.Message == d.Message
	case roomsapi.KindDelete:
		return r.Kind == KindDeleted && r.Message == d.Message
	}
	return false
}
