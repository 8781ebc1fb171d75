package observe

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/parley-chat/parley/pkg/env"
)

func TestAdminTellsLifeAndReadiness(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	readiness := &Readiness{}
	admin := &Admin{Listener: listener, Registry: NewRegistry(readiness), Readiness: readiness}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- admin.Run(ctx, func() {}) }()
	get := func(path string) (int, string) {
		resp, err := http.Get("http://" + listener.Addr().String() + path)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		body, _ := io.ReadAll(resp.Body)
		return resp.StatusCode, string(body)
	}
	if code, _ := get("/livez"); code != 200 {
		t.Error("livez", code)
	}
	if code, _ := get("/readyz"); code != 503 {
		t.Error("readyz before ready", code)
	}
	readiness.Set(true)
	if code, _ := get("/readyz"); code != 200 {
		t.Error("readyz", code)
	}
	if code, body := get("/metrics"); code != 200 || !strings.Contains(body, "go_goroutines") {
		t.Error("metrics", code)
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestLogLevelAndFormat(t *testing.T) {
	values := map[string]string{"PARLEY_LOG_LEVEL": "warn", "PARLEY_LOG_FORMAT": "text"}
	r := env.New(func(n string) (string, bool) { v, ok := values[n]; return v, ok })
	var out bytes.Buffer
	log := NewLogger(&out, LogConfigFrom(r, "json"))
	log.Info("unseen")
	log.Warn("seen")
	if r.Err() != nil || strings.Contains(out.String(), "unseen") || !strings.Contains(out.String(), "msg=seen") {
		t.Error(r.Err(), out.String())
	}
	values["PARLEY_LOG_LEVEL"] = "loud"
	if LogConfigFrom(r, "json"); r.Err() == nil {
		t.Error("a wrong level is no mistake")
	}
}
