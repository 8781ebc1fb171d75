package standalone

import "testing"

func TestCookiesAreNamedAfterThePort(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ listen, public, want string }{
		{"", "", ""},
		{"127.0.0.1:8000", "", ""},
		{"127.0.0.1:0", "", ""},
		{":8081", "", "8081"},
		{"[::1]:8080", "", "8080"},
		{":8081", "https://chat.example.org", ""},
		{":8080", "http://host:8081", "8081"},
	} {
		values := map[string]string{"PARLEY_LISTEN": c.listen, "PARLEY_PUBLIC_URL": c.public}
		if got := cookieSuffix(func(name string) (string, bool) { v := values[name]; return v, v != "" }); got != c.want {
			t.Errorf("%+v: %q", c, got)
		}
	}
}
