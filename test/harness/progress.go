package harness

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// Progress writes lines that tell people how it goes, and counts the processes that died.
type Progress struct {
	mu     sync.Mutex
	out    io.Writer
	deaths int
}

// NewProgress writes to out.
func NewProgress(out io.Writer) *Progress { return &Progress{out: out} }

// Say writes a line with the time.
func (p *Progress) Say(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, _ = fmt.Fprintf(p.out, time.Now().UTC().Format("15:04:05 ")+format+"\n", args...)
}

// Died notes a process that died, and says so.
func (p *Progress) Died(message string) {
	p.Say("%s", message)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.deaths++
}

// Deaths are how many processes died.
func (p *Progress) Deaths() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.deaths
}
