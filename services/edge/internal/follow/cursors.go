package follow

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/parley-chat/parley/pkg/chat"
)

// An event stream's id is the cursors of its rooms and the logs that they are of, such as
// `general:120,log.general:X7Q`: no slug has a dot, so that an edge of the version before, which knows no logs in
// ids, passes over those and takes the cursors.
const logItem = "log."

// unknownLog is the log of a cursor from an id that names none, of the version before: no room has a log of that
// name. The log may have been renewed since, so that the stream begins with a `joined`.
const unknownLog chat.LogID = "?"

// roomsAsked reads room and after, as many of each, in order, and log, as many or none. Last-Event-ID is newer.
func roomsAsked(c *fiber.Ctx) ([]*follower, error) {
	asked := map[string][]string{}
	c.Context().QueryArgs().VisitAll(func(key, value []byte) {
		asked[string(key)] = append(asked[string(key)], string(value))
	})
	slugs, afters, logs := asked["room"], asked["after"], asked["log"]
	if len(slugs) == 0 || len(slugs) > maxStreamRooms || len(slugs) != len(afters) {
		return nil, chat.Errorf(chat.CodeBadRequest, `1 to %d times "room", and as many "after"`, maxStreamRooms)
	}
	if len(logs) != 0 && len(logs) != len(slugs) {
		return nil, chat.Errorf(chat.CodeBadRequest, `as many "log" as "room", or none`)
	}
	if len(slices.Compact(slices.Sorted(slices.Values(slugs)))) != len(slugs) {
		return nil, chat.Errorf(chat.CodeBadRequest, "a room is asked for twice")
	}
	resumed := lastEventID(c.Get("Last-Event-ID"))
	followers := make([]*follower, len(slugs))
	for i, slug := range slugs {
		f := &follower{slug: chat.Slug(slug)}
		text := afters[i]
		if len(logs) > 0 {
			f.log = chat.LogID(logs[i])
		}
		newer, ok := resumed[slug]
		if ok {
			text, f.log = newer, chat.LogID(resumed[logItem+slug])
		}
		var err error
		if f.after, err = cursor(text); err != nil {
			return nil, err
		}
		if ok && f.log == "" && f.after > 0 {
			f.log = unknownLog
		}
		followers[i] = f
	}
	return followers, nil
}

// lastEventID reads an id: cursors by slugs, and logs by slugs behind logItem.
func lastEventID(id string) map[string]string {
	items := map[string]string{}
	for item := range strings.SplitSeq(id, ",") {
		if name, value, ok := strings.Cut(item, ":"); ok {
			if strings.HasPrefix(name, logItem) {
				value, _ = url.QueryUnescape(value)
			}
			items[name] = value
		}
	}
	return items
}

// eventID is the cursors of rooms as roomsAsked reads them in Last-Event-ID.
func eventID(followers []*follower) string {
	items := make([]string, 0, 2*len(followers))
	for _, f := range followers {
		items = append(items, fmt.Sprintf("%s:%d", f.slug, f.after))
		if f.log != "" && f.log != unknownLog {
			items = append(items, logItem+string(f.slug)+":"+url.QueryEscape(string(f.log)))
		}
	}
	return strings.Join(items, ",")
}
