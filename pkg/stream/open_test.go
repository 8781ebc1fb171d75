package stream_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/parley-chat/parley/pkg/env"
	"github.com/parley-chat/parley/pkg/redistest"
	"github.com/parley-chat/parley/pkg/stream"
)

func TestFormsOfTheURL(t *testing.T) {
	for url, want := range map[string]string{
		"redis://host": "one host:6379 : 0",
		"redis://:pa%2Fss@host:1234/3?pool_size=7":                     "one host:1234 :pa/ss 3 of 7",
		"redis://u:p@[::1]:1/2":                                        "one [::1]:1 u:p 2",
		"rediss://u:p@host/2":                                          "one host:6379 u:p 2 TLS",
		"rediss://u:p@host/2?server_name=a.b":                          "one host:6379 u:p 2 TLS a.b",
		"redis+sentinel://u:p@a:1,b/4?master=m":                        "sentinel m u:p 4",
		"redis+sentinel://a:1,b:2?master=m&sentinel_password=x":        "sentinel m : 0",
		"rediss+sentinel://a:1,b:2?master=m&server_name=c&pool_size=7": "sentinel m : 0 of 7 TLS c",
		"redis+cluster://u:p@a:1,b,[::2]:3":                            "cluster a:1,b:6379,[::2]:3 u:p",
		"redis+cluster://a/0":                                          "cluster a:6379 :",
		"rediss+cluster://u:p@a:1,b:2/?pool_size=7":                    "cluster a:1,b:2 u:p of 7 TLS",
	} {
		client, err := stream.Open(url)
		if err != nil {
			t.Error(url, err)
			continue
		}
		if got := described(client); got != want {
			t.Errorf("%s\n got %s\nwant %s", url, got, want)
		}
		_ = client.Close()
	}
}

// described says what a client was opened with.
func described(client redis.UniversalClient) (s string) {
	size, name, tls := 0, "", false
	switch c := client.(type) {
	case *redis.ClusterClient:
		o := c.Options()
		s = fmt.Sprintf("cluster %s %s:%s", strings.Join(o.Addrs, ","), o.Username, o.Password)
		if size, tls = o.PoolSize, o.TLSConfig != nil; tls {
			name = o.TLSConfig.ServerName
		}
	case *redis.Client:
		o := c.Options()
		s = fmt.Sprintf("one %s %s:%s %d", o.Addr, o.Username, o.Password, o.DB)
		if o.Addr == "FailoverClient" {
			s = fmt.Sprintf("sentinel m %s:%s %d", o.Username, o.Password, o.DB)
		}
		if size, tls = o.PoolSize, o.TLSConfig != nil; tls {
			name = o.TLSConfig.ServerName
		}
	}
	if size == 7 {
		s += " of 7"
	}
	if tls {
		s = strings.TrimSuffix(s+" TLS "+name, " ")
	}
	return s
}

func TestMistakesInTheURLAreSaidWithoutThePassword(t *testing.T) {
	folder := t.TempDir()
	none := filepath.Join(folder, "none")
	if err := os.WriteFile(none, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	for url, want := range map[string]string{
		"postgres://u:sesame@host":                                     "begins with",
		"redis+ring://u:sesame@host":                                   "begins with",
		"sesame":                                                       "begins with",
		"redis://u:sesame@a,b":                                         "begins with",
		"redis://u:se/sesame@host":                                     "malformed",
		"redis://u:sesame@host:port":                                   "malformed",
		"redis://u:sesame@host/?unknown=1":                             "malformed",
		"redis://u:sesame@host?master=m":                               "malformed",
		"redis://u:sesame@host?%zz":                                    "malformed",
		"redis+cluster://u:sesame@a:1:2,b":                             "malformed",
		"redis+cluster://u:sesame@a,,b":                                "malformed",
		"redis+cluster://u:sesame@a,b#c":                               "malformed",
		"redis+sentinel://u:sesame@a":                                  "master",
		"redis+cluster://u:sesame@a/3":                                 "database",
		"redis://u:sesame@host?ca_file=/x":                             "rediss",
		"redis+cluster://u:sesame@host?server_name=x":                  "rediss",
		"rediss://u:sesame@host?ca_file=/none":                         "ca_file",
		"rediss://u:sesame@host?ca_file=" + none:                       "holds no certificate",
		"rediss://u:sesame@host?cert_file=/none":                       "both",
		"rediss://u:sesame@host?cert_file=" + none + "&key_file=/none": "cert_file",
	} {
		_, err := stream.Open(url)
		r := env.New(func(name string) (string, bool) { return url, name == "PARLEY_REDIS" })
		stream.URLFrom(r)
		for _, err := range []error{err, r.Err()} {
			if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "sesame") {
				t.Errorf("%s: %v", url, err)
			}
		}
	}
}

// A password as a generator makes it, pasted nowhere.
func TestPasswordsApartFromTheURL(t *testing.T) {
	for _, password := range []string{"aB/c+d=", "x#y", "p%41ss", "a b:c@d?e[f]&g", "ü'\"\\"} {
		for url, want := range map[string]string{
			"redis://host":                      "one host:6379 :" + password + " 0",
			"redis://u@host/3":                  "one host:6379 u:" + password + " 3",
			"rediss://u:other@[::1]:1/2":        "one [::1]:1 u:" + password + " 2 TLS",
			"redis+cluster://:other@a:1,b":      "cluster a:1,b:6379 :" + password,
			"redis+sentinel://a:1,b:2?master=m": "sentinel m :" + password + " 0",
		} {
			r := env.New(func(name string) (string, bool) {
				value, ok := map[string]string{"PARLEY_REDIS": url, "PARLEY_REDIS_PASSWORD": password, "PARLEY_REDIS_SENTINEL_PASSWORD": password}[name]
				return value, ok
			})
			raw := stream.URLFrom(r)
			client, err := stream.Open(raw)
			if err != nil || r.Err() != nil {
				t.Error(url, err, r.Err())
				continue
			}
			if got := described(client); got != want {
				t.Errorf("%s\n got %s\nwant %s", url, got, want)
			}
			_ = client.Close()
		}
		server := redistest.Start(t, password)
		r := env.New(func(name string) (string, bool) {
			value, ok := map[string]string{"PARLEY_REDIS": "redis://" + server, "PARLEY_REDIS_PASSWORD": password}[name]
			return value, ok
		})
		redistest.Open(t, stream.URLFrom(r))
	}
}

func TestTheSentinelsPasswordApartFromTheURL(t *testing.T) {
	s := redistest.StartSentinel(t)
	url := strings.Replace(strings.Replace(s.URL, ":"+s.Password+"@", "", 1), "&sentinel_password="+s.Password, "", 1)
	r := env.New(func(name string) (string, bool) {
		value, ok := map[string]string{"PARLEY_REDIS": url, "PARLEY_REDIS_PASSWORD": s.Password, "PARLEY_REDIS_SENTINEL_PASSWORD": s.Password}[name]
		return value, ok
	})
	redistest.Open(t, stream.URLFrom(r))
}

func TestAMalformedURLSaysWhereThePasswordBelongs(t *testing.T) {
	for _, password := range []string{"aB/c+d=", "x#y", "%zz"} {
		_, err := stream.Open("redis://:" + password + "@host/0")
		if err == nil || !strings.Contains(err.Error(), "percent-encode") || !strings.Contains(err.Error(), "PARLEY_REDIS_PASSWORD") || strings.Contains(err.Error(), password) {
			t.Error(password, err)
		}
	}
}

func TestTLS(t *testing.T) {
	s := redistest.StartTLS(t)
	base := "rediss://:" + s.Password + "@" + s.Address + "/0?"
	name, ca, cert := "&server_name="+s.ServerName, "&ca_file="+s.CA, "&cert_file="+s.Cert+"&key_file="+s.Key
	if err := redistest.Open(t, base+name+ca+cert).Set(t.Context(), "k", "v", 0).Err(); err != nil {
		t.Error(err)
	}
	for what, query := range map[string]string{
		"the address instead of the name": ca + cert,
		"another name":                    ca + cert + "&server_name=another",
		"an authority that nobody knows":  name + cert,
		"no certificate":                  name + ca,
		"a stranger's certificate":        name + ca + "&cert_file=" + s.Stranger + "&key_file=" + s.StrangerKey,
	} {
		client, err := stream.Open(base + query)
		if err != nil {
			t.Fatal(what, err)
		}
		if err := client.Ping(t.Context()).Err(); err == nil {
			t.Error("connected with", what)
		}
		_ = client.Close()
	}

	// A certificate that is renewed while the process runs counts for the next connection.
	fresh := filepath.Join(t.TempDir(), "fresh")
	copyFile := func(from, to string) {
		content, err := os.ReadFile(from)
		if err == nil {
			err = os.WriteFile(to, content, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	copyFile(s.Stranger, fresh+".crt")
	copyFile(s.StrangerKey, fresh+".key")
	client, err := stream.Open(base + name + ca + "&cert_file=" + fresh + ".crt&key_file=" + fresh + ".key")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	if err := client.Ping(t.Context()).Err(); err == nil {
		t.Error("connected with a stranger's certificate")
	}
	copyFile(s.Cert, fresh+".crt")
	copyFile(s.Key, fresh+".key")
	if err := client.Ping(t.Context()).Err(); err != nil {
		t.Error("the renewed certificate is not shown:", err)
	}
}
