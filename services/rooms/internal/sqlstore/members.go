package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/database"
	"github.com/parley-chat/parley/pkg/lobby"
	"github.com/parley-chat/parley/services/rooms/internal/access"
	"github.com/parley-chat/parley/services/rooms/internal/message"
	"github.com/parley-chat/parley/services/rooms/internal/room"
)

// rolesAtOnce bounds one query of Roles.
const rolesAtOnce = 500

// Roles implements message.Members.
func (s *Store) Roles(ctx context.Context, keys []access.MemberKey) (map[access.MemberKey]access.Membership, error) {
	roles := make(map[access.MemberKey]access.Membership, len(keys))
	for len(keys) > 0 {
		some := keys[:min(len(keys), rolesAtOnce)]
		keys = keys[len(some):]
		var values strings.Builder
		args := make([]any, 0, 2*len(some))
		for i, key := range some {
			if i > 0 {
				values.WriteString(", ")
			}
			fmt.Fprintf(&values, "(CAST($%d AS bigint), $%d)", 2*i+1, 2*i+2)
			args = append(args, key.Room, string(key.User))
		}
		err := s.db.Query(ctx, func(row database.Row) error {
			var key access.MemberKey
			var m access.Membership
			err := row.Scan(&key.Room, &key.User, &m.Role)
			roles[key] = m
			return err
		}, `SELECT room_id, user_id, role FROM room_members WHERE (room_id, user_id) IN (VALUES `+values.String()+`)`, args...)
		if err != nil {
			return nil, fmt.Errorf("look memberships up: %w", err)
		}
	}
	return roles, nil
}

// SetMember implements room.AccessStore.
func (s *Store) SetMember(ctx context.Context, key access.MemberKey, role string, at chat.Time) (room.AccessChange, error) {
	return s.changeAccess(ctx, key.Room, at, func(tx database.Querier, _ *message.Room) error {
		if role == "" {
			_, err := tx.Exec(ctx, `DELETE FROM room_members WHERE room_id = $1 AND user_id = $2`, key.Room, key.User)
			return err
		}
		_, err := tx.Exec(ctx, `INSERT INTO room_members (room_id, user_id, role, since) VALUES ($1, $2, $3, $4)
			ON CONFLICT (room_id, user_id) DO UPDATE SET role = excluded.role`, key.Room, key.User, role, at.UnixMilli())
		return err
	})
}

// SetPrivate implements room.AccessStore.
func (s *Store) SetPrivate(ctx context.Context, id chat.RoomID, private bool, at chat.Time) (room.AccessChange, error) {
	return s.changeAccess(ctx, id, at, func(tx database.Querier, r *message.Room) error {
		r.Private = private
		_, err := tx.Exec(ctx, `UPDATE rooms SET private = $2 WHERE id = $1`, id, private)
		return err
	})
}

// changeAccess has change write what it changes in a room, which is locked, and in its members.
func (s *Store) changeAccess(ctx context.Context, id chat.RoomID, at chat.Time, change func(database.Querier, *message.Room) error) (told room.AccessChange, _ error) {
	err := s.db.InTx(ctx, func(tx database.Querier) error {
		d := tx.Dialect()
		before, err := ScanRoomHead(tx.QueryRow(ctx, `SELECT `+RoomColumns+`, `+headOf(d)+` FROM rooms r
			WHERE r.id = $1 AND r.deleted_at IS NULL`+d.Locking("FOR NO KEY UPDATE"), id))
		if errors.Is(err, sql.ErrNoRows) {
			return access.NoRoom()
		}
		if err != nil {
			return err
		}
		former, err := MembersOf(ctx, tx, id)
		if err != nil {
			return err
		}
		after := before
		after.AccessVersion++
		if err = change(tx, &after); err != nil {
			return err
		}
		members, err := MembersOf(ctx, tx, id)
		if err != nil {
			return err
		}
		if _, err = tx.Exec(ctx, `UPDATE rooms SET access_version = $2 WHERE id = $1`, id, after.AccessVersion); err != nil {
			return err
		}
		log, head, err := Feed.Lock(ctx, tx)
		if err != nil {
			return err
		}
		told = room.AccessChange{Log: log, Event: message.Event(lobby.RoomUpdated, head+1, at, after, &before, members, former)}
		events, err := Feed.Append(told.Event)
		if err != nil {
			return err
		}
		return tx.Batch(ctx, events...)
	})
	if err != nil {
		return room.AccessChange{}, fmt.Errorf("change who may do what in a room: %w", err)
	}
	return told, nil
}

// MembersOf returns a room's members, one more than access.MaxListed at most.
func MembersOf(ctx context.Context, tx database.Querier, id chat.RoomID) ([]chat.UserID, error) {
	return database.Collect(ctx, tx, func(row database.Row) (user chat.UserID, err error) {
		err = row.Scan(&user)
		return user, err
	}, MembersQuery, id, access.MaxListed+1)
}

// MembersQuery is the query of MembersOf, for a transaction that sends its queries together.
const MembersQuery = `SELECT user_id FROM room_members WHERE room_id = $1 ORDER BY user_id LIMIT $2`
