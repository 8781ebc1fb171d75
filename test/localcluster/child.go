package localcluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Child is a program that runs as a process of its own: started again when it dies, as Kubernetes
// would, and stopped when its context ends.
type Child struct {
	Name    string
	Address string   // what it serves on, for the table
	Admin   string   // a service's admin listener, host:port
	Path    string   // of the program
	Args    []string // without the program's name
	Env     []string
	LogFile string // takes its standard output and error
	Stop    os.Signal
	Grace   time.Duration // from Stop to being killed
	Sys     *syscall.SysProcAttr
	// Probe returns nil once the child serves. It is asked at the first start only.
	Probe func(context.Context) error
	// Notify hears that the child died and was started again.
	Notify func(message string)

	mu      sync.Mutex
	process *os.Process
	held    chan struct{} // closed when it may start again; nil: it may
}

// How soon a child that died is started again: after restartFirst, twice as long each time that it
// lived less than restartSettled, and restartLast at most.
const (
	restartFirst   = 500 * time.Millisecond
	restartLast    = 5 * time.Second
	restartSettled = 10 * time.Second
	probeEvery     = 50 * time.Millisecond
	probeFor       = 60 * time.Second
)

// Run keeps the child running until ctx ends. A child that dies before it ever served is an error
// with the end of its log.
func (c *Child) Run(ctx context.Context, ready func()) error {
	// The kernel kills the child when the thread that started it ends, so this thread stays.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()

	ctx, stop := context.WithCancel(ctx)
	defer stop()
	started := time.Now()
	exited, err := c.start(ctx)
	if err != nil {
		return err
	}
	if err = c.probe(ctx, exited); err != nil {
		stop()
		for range exited { // until it is closed
		}
		return err
	}
	ready()
	delay := restartFirst
	for {
		err := <-exited
		if ctx.Err() != nil {
			return nil
		}
		if time.Since(started) > restartSettled {
			delay = restartFirst
		}
		select {
		case <-time.After(delay): //nolint:forbidigo // one timer, in a select with ctx
		case <-ctx.Done():
			return nil
		}
		delay = min(2*delay, restartLast)
		if c.waitHeld(ctx) != nil {
			return nil
		}
		started = time.Now()
		if exited, err = c.startAgain(ctx, err); err != nil {
			return err
		}
	}
}

// PID is the process's number now, 0 while it is down.
func (c *Child) PID() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.process == nil {
		return 0
	}
	return c.process.Pid
}

// Signal sends the process a signal; one that is down hears nothing.
func (c *Child) Signal(signal os.Signal) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.process == nil {
		return fmt.Errorf("%s is not running", c.Name)
	}
	if err := c.process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("signal %s: %w", c.Name, err)
	}
	return nil
}

// Once runs the child's program beside it, with its environment and other arguments, to its end.
func (c *Child) Once(ctx context.Context, args ...string) (output string, err error) {
	cmd := exec.CommandContext(ctx, c.Path, args...) //nolint:gosec // the programs are our own
	cmd.Env = c.Env
	out, err := cmd.CombinedOutput()
	if err != nil {
		return string(out), fmt.Errorf("%s %s: %w\n%s", filepath.Base(c.Path), strings.Join(args, " "), err, out)
	}
	return string(out), nil
}

// Hold keeps the child from being started again, once it has ended, until Release.
func (c *Child) Hold() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.held == nil {
		c.held = make(chan struct{})
	}
}

// Release takes Hold back.
func (c *Child) Release() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.held != nil {
		close(c.held)
		c.held = nil
	}
}

func (c *Child) waitHeld(ctx context.Context) error {
	c.mu.Lock()
	held := c.held
	c.mu.Unlock()
	if held == nil {
		return nil
	}
	select {
	case <-held:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c *Child) startAgain(ctx context.Context, death error) (<-chan error, error) {
	exited, err := c.start(ctx)
	if err == nil && c.Notify != nil {
		c.Notify(fmt.Sprintf("%s ended (%s), started again as PID %d", c.Name, ending(death), c.PID()))
	}
	return exited, err
}

// ending says how a process ended.
func ending(death error) string {
	if death == nil {
		return "by itself"
	}
	return death.Error()
}

// start runs the program; what it ended with comes on the channel, which is then closed.
func (c *Child) start(ctx context.Context) (<-chan error, error) {
	log, err := os.OpenFile(c.LogFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("%s: log file: %w", c.Name, err)
	}
	cmd := exec.CommandContext(ctx, c.Path, c.Args...) //nolint:gosec // the programs are our own, PostgreSQL and Redis
	cmd.Env, cmd.Stdout, cmd.Stderr = c.Env, log, log
	cmd.SysProcAttr = attached(c.Sys)
	cmd.Cancel = func() error { return cmd.Process.Signal(c.Stop) }
	cmd.WaitDelay = c.Grace
	err = cmd.Start()
	_ = log.Close() // the child has its own
	if err != nil {
		return nil, fmt.Errorf("%s did not start: %w", c.Name, err)
	}
	c.mu.Lock()
	c.process = cmd.Process
	c.mu.Unlock()
	exited := make(chan error, 1)
	go func() {
		err := cmd.Wait()
		c.mu.Lock()
		c.process = nil
		c.mu.Unlock()
		exited <- err
		close(exited)
	}()
	return exited, nil
}

func (c *Child) probe(ctx context.Context, exited <-chan error) error {
	limit, cancel := context.WithTimeout(ctx, probeFor)
	defer cancel()
	tick := time.NewTicker(probeEvery)
	defer tick.Stop()
	for {
		err := c.Probe(limit)
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case death := <-exited:
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return fmt.Errorf("%s ended before it served (%s); the end of %s:\n%s", c.Name, ending(death), c.LogFile, tail(c.LogFile))
		case <-limit.Done():
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return fmt.Errorf("%s does not serve after %s (%w); the end of %s:\n%s", c.Name, probeFor, err, c.LogFile, tail(c.LogFile))
		}
	}
}

// tail is the end of a log, for an error message.
func tail(path string) string {
	const lines = 12
	content, err := os.ReadFile(path) //nolint:gosec // a log of ours
	if err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimSpace(string(content)), "\n")
	return "  " + strings.Join(all[max(0, len(all)-lines):], "\n  ")
}
