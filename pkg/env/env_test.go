package env

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func reader(values map[string]string) *Reader {
	return New(func(name string) (string, bool) { v, ok := values[name]; return v, ok })
}

func TestReadsWhatIsSet(t *testing.T) {
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte("hush\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := reader(map[string]string{"S": "x", "I": "7", "D": "90s", "B": "true", "L": "a, b,,c", "U": "http://a:1/,https://b", "P": "10.0.0.0/8", "K_FILE": file})
	if got := r.String("S", "y", ""); got != "x" {
		t.Error(got)
	}
	if got := r.Int("I", 1, 0, ""); got != 7 {
		t.Error(got)
	}
	if got := r.Duration("D", 0, ""); got != 90*time.Second {
		t.Error(got)
	}
	if !r.Bool("B", false, "") || r.Bool("B2", false, "") {
		t.Error("bool")
	}
	if got := strings.Join(r.List("L", "", ""), "|"); got != "a|b|c" {
		t.Error(got)
	}
	if got := strings.Join(r.URLs("U", ""), "|"); got != "http://a:1|https://b" {
		t.Error(got)
	}
	if got := r.Prefixes("P", "", ""); len(got) != 1 {
		t.Error(got)
	}
	if got := r.RequiredSecret("K", ""); got != "hush" {
		t.Error(got)
	}
	if err := r.Err(); err != nil {
		t.Error(err)
	}
}

func TestReportsAllMistakesAtOnce(t *testing.T) {
	r := reader(map[string]string{"I": "-1", "D": "soon", "B": "maybe", "U": "ftp://x", "P": "10", "K_FILE": "/nonexistent", "F": "NaN"})
	_ = r.Required("S", "the thing")
	_ = r.Int("I", 1, 0, "")
	_ = r.Float("F", 1, "")
	if got := r.Duration("D", time.Minute, ""); got != time.Minute {
		t.Error("a malformed value must leave the default, got", got)
	}
	_ = r.Bool("B", false, "")
	_ = r.URLs("U", "")
	_ = r.Prefixes("P", "", "")
	_ = r.RequiredSecret("K", "")
	err := r.Err()
	if err == nil {
		t.Fatal("no error")
	}
	for _, name := range []string{"S is not set: the thing", "I:", "F:", "D:", "B:", "U:", "P:", "K_FILE:"} {
		if !strings.Contains(err.Error(), "\n  "+name) {
			t.Errorf("%q is not in %v", name, err)
		}
	}
}

func TestTableShowsDefaults(t *testing.T) {
	r := reader(nil)
	_ = r.Duration("D", 5*time.Minute, "how long")
	_ = r.Required("S", "what")
	got := r.Table()
	if got[0].Default != "5m" || got[0].Doc != "how long" || !got[1].Required {
		t.Errorf("%+v", got)
	}
}
