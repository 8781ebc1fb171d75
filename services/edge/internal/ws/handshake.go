package ws

import (
	"encoding/base64"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/webapi"
	"github.com/parley-chat/parley/services/edge/internal/drain"
)

// arrival is a handshake's caller and address.
type arrival struct {
	caller  webapi.Caller
	address string
}

// arrivalLocal carries the arrival to the socket's reader.
const arrivalLocal = "parley-arrival"

// socket is the handshake. A caller without a token shows one in the first frame.
func (s *Server) socket(c *fiber.Ctx) error {
	draining := s.drain.HasBegun()
	err := s.handshake(c, draining)
	s.metrics.handshake(err, draining)
	return err
}

func (s *Server) handshake(c *fiber.Ctx, draining bool) error {
	if err := checkUpgrade(c); err != nil {
		return err
	}
	if draining {
		return drain.Err()
	}
	came := arrival{address: webapi.IPKey(webapi.ClientIP(c))}
	if err := s.connects.Allow(came.address); err != nil {
		return err
	}
	caller, err := s.auth.Handshake(c)
	if err != nil {
		return err
	}
	var user *chat.User
	if caller != nil {
		came.caller, user = *caller, &caller.User
	}
	if err := s.shared.Limiter.MayOpen(came.address, user); err != nil {
		return err
	}
	c.Locals(arrivalLocal, came)
	return s.upgrade(c)
}

const (
	websocketVersion = "13"
	keyBytes         = 16
)

// checkUpgrade refuses what is no handshake of a WebSocket. The library would take a key of any form, and
// look at the first line alone of a header that has several.
func checkUpgrade(c *fiber.Ctx) error {
	upgrade := names(c, fiber.HeaderConnection, "upgrade") && names(c, fiber.HeaderUpgrade, "websocket")
	if !upgrade || c.Get(fiber.HeaderSecWebSocketVersion) != websocketVersion {
		c.Set(fiber.HeaderUpgrade, "websocket")
		c.Set(fiber.HeaderSecWebSocketVersion, websocketVersion)
		return fiber.ErrUpgradeRequired
	}
	if key, err := base64.StdEncoding.DecodeString(c.Get(fiber.HeaderSecWebSocketKey)); err != nil || len(key) != keyBytes {
		return chat.Errorf(chat.CodeBadRequest, "%s is %d bytes in base64", fiber.HeaderSecWebSocketKey, keyBytes)
	}
	c.Request().Header.Set(fiber.HeaderConnection, "Upgrade")
	c.Request().Header.Set(fiber.HeaderUpgrade, "websocket")
	return nil
}

// names says whether a header, of one line or of several, lists a token.
func names(c *fiber.Ctx, header, token string) bool {
	for _, line := range c.Request().Header.PeekAll(header) {
		for item := range strings.SplitSeq(string(line), ",") {
			if strings.EqualFold(strings.TrimSpace(item), token) {
				return true
			}
		}
	}
	return false
}
