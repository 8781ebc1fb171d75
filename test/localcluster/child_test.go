package localcluster

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// shell is a child that runs a script until the test ends or stop is called.
func shell(t *testing.T, script string, probe func(context.Context) error) (c *Child, ready chan struct{}, ran chan error, stop context.CancelFunc) {
	t.Helper()
	t.Cleanup(func() { goleak.VerifyNone(t) })
	ctx, stop := context.WithCancel(t.Context())
	if probe == nil {
		probe = func(context.Context) error { return nil }
	}
	c = &Child{
		Name: "shell", Path: "/bin/sh", Args: []string{"-c", script}, LogFile: filepath.Join(t.TempDir(), "log"),
		Stop: syscall.SIGTERM, Grace: 500 * time.Millisecond, Probe: probe, Notify: func(message string) { t.Log(message) },
	}
	ready, ran = make(chan struct{}), make(chan error, 1)
	go func() { ran <- c.Run(ctx, func() { close(ready) }) }()
	t.Cleanup(stop)
	return c, ready, ran, stop
}

func ends(t *testing.T, ran chan error) error {
	t.Helper()
	select {
	case err := <-ran:
		return err
	case <-time.NewTimer(10 * time.Second).C:
		t.Fatal("still running")
		return nil
	}
}

// eventually waits until ok holds.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
		<-time.NewTimer(20 * time.Millisecond).C
	}
}

func TestChildIsStartedAgainWhenItDies(t *testing.T) {
	c, ready, ran, stop := shell(t, "exec sleep 60", nil)
	<-ready
	first := c.PID()
	if err := c.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "another process", func() bool { return c.PID() != 0 && c.PID() != first })
	stop()
	if err := ends(t, ran); err != nil {
		t.Error(err)
	}
	if c.PID() != 0 {
		t.Error("still there:", c.PID())
	}
	if err := c.Signal(syscall.SIGKILL); err == nil {
		t.Error("a signal to nobody")
	}
}

func TestChildThatIsHeldStaysDown(t *testing.T) {
	c, ready, ran, stop := shell(t, "exec sleep 60", nil)
	<-ready
	c.Hold()
	if err := c.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "down", func() bool { return c.PID() == 0 })
	<-time.NewTimer(2 * restartFirst).C
	if c.PID() != 0 {
		t.Error("started again while held")
	}
	c.Release()
	eventually(t, "another process", func() bool { return c.PID() != 0 })
	stop()
	if err := ends(t, ran); err != nil {
		t.Error(err)
	}
}

func TestChildThatDoesNotStopIsKilled(t *testing.T) {
	_, ready, ran, stop := shell(t, "trap '' TERM; while :; do sleep 0.1; done", nil)
	<-ready
	stop()
	if err := ends(t, ran); err != nil {
		t.Error(err)
	}
}

func TestChildThatNeverServesIsAnErrorWithItsLog(t *testing.T) {
	_, _, ran, _ := shell(t, "echo the port is taken; exit 3", func(context.Context) error { return os.ErrNotExist })
	err := ends(t, ran)
	if err == nil || !strings.Contains(err.Error(), "the port is taken") || !strings.Contains(err.Error(), "exit status 3") {
		t.Error(err)
	}
}

func TestChildIsStoppedWhileItStarts(t *testing.T) {
	c, _, ran, stop := shell(t, "exec sleep 60", func(context.Context) error { return os.ErrNotExist })
	eventually(t, "a process", func() bool { return c.PID() != 0 })
	stop()
	if err := ends(t, ran); err != nil && !strings.Contains(err.Error(), "canceled") {
		t.Error(err)
	}
}
