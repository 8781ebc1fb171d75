package auth

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/parley-chat/parley/pkg/audit"
	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/services/auth/internal/storetest"
)

// Each act leaves its entry, by whom and from where; the log line says the same.
func TestActsLeaveEntries(t *testing.T) {
	each(t, func(s *server) {
		t := s.t
		boss := s.admin()
		ada := s.signup("Ada")
		path := "/api/auth/users/" + string(ada.Body.User.ID)
		s.login("Ada", "a wrong password").want(t, "refused", 401)
		s.call("POST", "/api/auth/logout", obj{}, bearer(ada)...).want(t, "logout", 204)
		s.call("PATCH", path, obj{"staff": true, "disabled": true}, bearer(boss)...).want(t, "two changes", 200)
		s.call("PATCH", path, obj{"staff": true}, bearer(boss)...).want(t, "no change", 200)
		s.call("PATCH", path, obj{"staff": false, "disabled": false, "password": good + "2"}, bearer(boss)...).want(t, "back", 200)
		ada = s.login("Ada", good+"2").want(t, "login", 200)
		s.call("POST", "/api/auth/password", obj{"current": good + "2", "new": good}, bearer(ada)...).want(t, "own password", 200)
		s.call("POST", "/api/auth/guest", obj{"name": "Eve"}).want(t, "a guest", 200)
		s.call("DELETE", path, nil, bearer(boss)...).want(t, "erase", 204)
		in := s.call("POST", "/api/auth/users", obj{"username": "Bob", "password": good}, bearer(boss)...).want(t, "create", 201)

		table, _ := s.store.(storetest.Audit)
		list, err := table.AuditPage(t.Context(), audit.Filter{Tenant: chat.DefaultTenant, Limit: 100})
		if err != nil {
			t.Fatal(err)
		}
		names := map[string]string{"": "operator", string(boss.Body.User.ID): "boss", string(ada.Body.User.ID): "ada", string(in.Body.User.ID): "bob"}
		var got strings.Builder
		for _, e := range slices.Backward(list) {
			target, known := names[e.Target]
			if !known {
				target = "session"
			}
			fmt.Fprintln(&got, names[string(e.Actor)], e.Action, target, e.Details)
			if own := e.Actor != ""; (e.Address != "") != own || (e.Request != "") != own || !e.At.Equal(s.clock.Now()) {
				t.Errorf("%+v", e)
			}
			actor := string(e.Actor)
			if actor == "" {
				actor = `""`
			}
			if !strings.Contains(s.log.String(), fmt.Sprintf("action=%s actor=%s target=%s", e.Action, actor, e.Target)) {
				t.Errorf("the log has no line of %+v", e)
			}
		}
		const want = `operator account_created boss map[staff:true]
boss signed_in session map[]
ada account_created ada map[staff:false]
ada signed_in session map[]
ada session_ended session map[reason:signed_out]
boss staff_granted ada map[]
boss account_disabled ada map[]
boss staff_revoked ada map[]
boss account_enabled ada map[]
boss password_reset ada map[]
ada signed_in session map[]
ada password_changed ada map[]
ada signed_in session map[]
boss account_erased ada map[]
boss account_created bob map[staff:false]
`
		if got.String() != want {
			t.Errorf("%s\nwant\n%s", got.String(), want)
		}
	})
}
