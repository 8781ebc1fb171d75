package observability_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/parley-chat/parley/pkg/client"
	"github.com/parley-chat/parley/test/localcluster"
	"github.com/parley-chat/parley/test/servertest"
)

// What is private is in no line of the log, whoever sends it where, and whatever goes wrong with it; not even where
// all is logged.
func TestNothingPrivateIsLogged(t *testing.T) {
	t.Parallel()
	const password, body, query = "canary-password-1", "canary-body-2", "canary-query-3"
	data := t.TempDir()
	s := servertest.Serve(t, data, append([]string{"PARLEY_LOG_LEVEL=debug", "PARLEY_LOG_FORMAT=json"}, localcluster.WithoutLimits()...)...)
	who := s.People(t)
	ada, err := s.API.Signup(t.Context(), "ada", password)
	if err != nil {
		t.Fatal(err)
	}
	staff := who["staff"].AccessToken

	for username, tried := range map[string]string{"ada": password + "x", password: password, "nobody": password} { // people type one for the other
		if got := s.Call(t, http.MethodPost, "/api/auth/login", "", `{"username":`+servertest.Quoted(username)+`,"password":`+servertest.Quoted(tried)+`}`); got.Status != http.StatusUnauthorized {
			t.Error(got)
		}
	}
	s.Call(t, http.MethodPost, "/api/auth/login", "", `{"password":"`+password+`"`) // malformed
	s.Call(t, http.MethodPost, "/api/auth/password", ada.AccessToken, `{"current":"`+password+`y","new":"`+password+`z"}`)
	s.Call(t, http.MethodPost, "/api/auth/refresh", "", `{"refresh_token":`+servertest.Quoted(who["guest"].RefreshToken)+`}`)
	s.Call(t, http.MethodPost, "/api/auth/refresh", "", "", "Cookie: parley_refresh="+body, "Origin: https://evil.example")
	s.Call(t, http.MethodGet, "/api/auth/me?access_token="+query, ada.AccessToken+"forged", "")
	s.Call(t, http.MethodGet, "/api/rooms?q="+query, "", "", "Cookie: parley_session="+body)
	if _, err := s.API.Send(t.Context(), staff, "general", client.Outgoing{Body: body, Nonce: "1"}); err != nil {
		t.Fatal(err)
	}

	first, refused := servertest.DialRaw(t, s)
	if refused != 0 {
		t.Fatal(refused)
	}
	first.Write(`{"type":"auth","id":1,"token":` + servertest.Quoted(ada.AccessToken) + `}`)
	first.Answer(1)
	first.Gets(`{"type":"join","id":2,"room":"general"}`, "joined")
	first.Gets(`{"type":"send","id":3,"room":"general","body":"`+body+`","nonce":"2"}`, "sent")
	first.Gets(`{"type":"edit","id":4,"room":"general","message":2,"body":"`+body+`"}`, "ok")
	first.Gets(`{"type":"`+body+`","id":5}`, "bad_request")
	servertest.DialRaw(t, s, "Authorization: Bearer "+ada.AccessToken+"forged")

	servertest.Execute(t, data, "rooms.db", `ALTER TABLE room_nonces RENAME TO gone`)
	first.Gets(`{"type":"send","id":6,"room":"general","body":"`+body+`","nonce":"3"}`, "unavailable")
	servertest.Execute(t, data, "auth.db", `ALTER TABLE auth_accounts RENAME TO gone`)
	s.Call(t, http.MethodPost, "/api/auth/login", "", `{"username":"ada","password":"`+password+`"}`)
	s.Stop()

	log := s.Log.String()
	private := map[string]string{
		"a password": password, "a body": body, "a query": query, "another password": servertest.AdminPassword, "the service credential": s.Secret,
	}
	for kind, signIn := range who {
		if signIn.AccessToken != "" {
			private[kind+"'s token"], private[kind+"'s refresh token"] = signIn.AccessToken, signIn.RefreshToken
		}
	}
	private["ada's token"], private["ada's refresh token"] = ada.AccessToken, ada.RefreshToken
	for what, secret := range private {
		if i := strings.Index(log, secret); i >= 0 {
			t.Errorf("%s is in the log: %s", what, log[max(0, i-300):min(len(log), i+300)])
		}
	}
	for _, want := range []string{`"msg":"request"`, `"request_id":"`, `"msg":"request refused"`, `"msg":"socket opened"`, `"msg":"transaction failed"`, `"msg":"request failed"`, `"session":"`} {
		if !strings.Contains(log, want) {
			t.Errorf("the log has no %s: the test looks at too little", want)
		}
	}
}
