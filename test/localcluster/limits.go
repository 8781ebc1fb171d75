package localcluster

import (
	"slices"
	"strings"
)

// limits are all that the services have, each as PARLEY_LIMIT_….
const limits = "SIGNUP LOGIN GUEST REFRESH BAD_LOGINS USER_CHANGE READS READS_ADDRESS ROOM_CREATE ROOM_CHANGE " +
	"SENDS SENDS_ADDRESS SENDS_ROOM SENDS_HTTP SENDS_HTTP_ADDRESS SENDS_HTTP_ROOM BYTES_ADDRESS BYTES_ROOM JOINS POLLS CONNECTS FRAMES FRAMES_EARLY " +
	"OPEN_SOCKETS OPEN_SOCKETS_ADDRESS OPEN_STREAMS OPEN_STREAMS_ADDRESS OPEN_POLLS OPEN_POLLS_ADDRESS"

// WithoutLimits are the variables that lift all limits but those named: whoever loads a cluster does so from
// one address.
func WithoutLimits(but ...string) []string {
	var lifted []string
	for name := range strings.FieldsSeq(limits) {
		if !slices.Contains(but, name) {
			lifted = append(lifted, "PARLEY_LIMIT_"+name+"=0")
		}
	}
	return lifted
}
