package webapi

import (
	"context"
	"io"
	"net"
	"net/http"
	"testing"
)

func TestAServerStopsWithoutComplaint(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- (&Server{App: app(t, io.Discard), Listener: listener}).Run(ctx, func() {}) }()
	response, err := http.Get("http://" + listener.Addr().String() + "/ip")
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	stop()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}
