package contract

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// Traffic checks what goes between clients and a server, and remembers what of the contract it saw.
// It is safe for concurrent use.
type Traffic struct {
	contract *Contract
	report   func(error)

	mu   sync.Mutex
	seen map[string]bool
}

// Watch begins to watch; report is called with whatever breaks the contract.
func (c *Contract) Watch(report func(error)) *Traffic {
	return &Traffic{contract: c, report: report, seen: map[string]bool{}}
}

func (t *Traffic) note(what string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.seen[what] = true
}

func (t *Traffic) check(err error) {
	if err != nil {
		t.report(err)
	}
}

// Seen is what of the contract has occurred.
func (t *Traffic) Seen() map[string]bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return maps.Clone(t.seen)
}

// Unseen is what of the contract is not among seen.
func (c *Contract) Unseen(seen map[string]bool) []string {
	missing := map[string]bool{}
	note := func(what string) {
		if !seen[what] {
			missing[what] = true
		}
	}
	walked := map[string]bool{}
	for _, o := range c.operations {
		for status, r := range o.answers {
			note(o.ID + " answers " + status)
			if r.media != "" {
				c.allFields(r.schema, walked, note)
			}
		}
	}
	for name, ch := range c.channels {
		for _, f := range ch.frames {
			note(name + " sends " + f.name)
			c.allFields(f.payload, walked, note)
		}
	}
	for _, command := range c.commands {
		note("client sends " + command.Type)
		for _, r := range command.replies {
			if r != "error" {
				note(command.Type + " is answered with " + r)
			}
		}
		for _, code := range command.codes {
			note(command.Type + " is answered with error " + code)
		}
	}
	for code := range c.closeCodes {
		note("socket closes with " + code)
	}
	return slices.Sorted(maps.Keys(missing))
}

// Transport is next, watched: answers of the paths that besides names are none of the contract's.
func (t *Traffic) Transport(next http.RoundTripper, besides func(path string) bool) http.RoundTripper {
	return watched{t, next, besides}
}

type watched struct {
	traffic *Traffic
	next    http.RoundTripper
	besides func(path string) bool
}

// RoundTrip implements http.RoundTripper.
func (w watched) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := w.next.RoundTrip(request)
	if err != nil || w.besides(request.URL.Path) {
		return response, err //nolint:wrapcheck // as if nobody watched
	}
	return response, w.traffic.Answer(request.Method, request.URL.EscapedPath(), response)
}

// Answer checks an answer. Its body can be read afterwards; that of a stream is checked as it is read.
// The error is that of reading.
func (t *Traffic) Answer(method, path string, response *http.Response) error {
	var body []byte
	switch {
	case response.StatusCode == http.StatusSwitchingProtocols:
	case strings.HasPrefix(response.Header.Get("Content-Type"), "text/event-stream"):
		response.Body = &stream{ReadCloser: response.Body, traffic: t}
	default:
		content, err := io.ReadAll(response.Body)
		if closed := response.Body.Close(); err != nil || closed != nil {
			return errors.Join(err, closed)
		}
		body = append([]byte{}, content...) // not nil
		response.Body = io.NopCloser(bytes.NewReader(content))
	}
	t.check(t.contract.answer(method, path, response.StatusCode, response.Header, body, t.note))
	return nil
}

// stream checks server-sent events as they are read.
type stream struct {
	io.ReadCloser

	traffic *Traffic
	line    []byte
}

var cursors = regexp.MustCompile(`^id: [a-z0-9-]+:\d+,log\.[a-z0-9-]+:[A-Z2-7]+(,[a-z0-9-]+:\d+,log\.[a-z0-9-]+:[A-Z2-7]+)*$`)

// Read implements io.Reader.
func (s *stream) Read(p []byte) (int, error) {
	n, err := s.ReadCloser.Read(p)
	s.line = append(s.line, p[:n]...)
	for {
		line, rest, ok := bytes.Cut(s.line, []byte("\n"))
		if !ok {
			return n, err //nolint:wrapcheck // as if nobody watched
		}
		s.checkLine(string(line))
		s.line = rest
	}
}

func (s *stream) checkLine(line string) {
	if data, ok := strings.CutPrefix(line, "data: "); ok {
		_, _, err := s.traffic.contract.check(streamChannel, []byte(data), s.traffic.note)
		s.traffic.check(err)
		return
	}
	if line != "" && !strings.HasPrefix(line, ": ") && !cursors.MatchString(line) {
		s.traffic.report(fmt.Errorf("a line of a stream that is not described: %q", line)) //nolint:err113 // a finding
	}
}

// Socket watches one WebSocket.
type Socket struct {
	traffic *Traffic

	mu      sync.Mutex
	greeted bool
	named   map[int64]*Command // what was sent last by that id, nil for what is no command
	unnamed bool               // something was sent without an id
}

// Socket begins to watch a socket.
func (t *Traffic) Socket() *Socket { return &Socket{traffic: t, named: map[int64]*Command{}} }

// Wrote notes what the client sends, before it does.
func (s *Socket) Wrote(text []byte) {
	command := s.traffic.contract.command(text, s.traffic.note)
	var head struct {
		ID *int64 `json:"id"`
	}
	err := json.Unmarshal(text, &head) // which leaves a zero where the id is no number
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil || head.ID == nil {
		s.unnamed = true
	} else {
		s.named[*head.ID] = command
	}
}

// Read checks what the server has sent.
func (s *Socket) Read(text []byte) {
	f, object, err := s.traffic.contract.check(socketChannel, text, s.traffic.note)
	if err == nil {
		err = s.placed(f, object)
	}
	s.traffic.check(err)
}

// placed checks whether a frame comes when it may.
func (s *Socket) placed(f *frame, object map[string]any) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.greeted = s.greeted || f.name == "hello"
	if !s.greeted && f.name != "error" {
		return fmt.Errorf("%s comes before hello", f.name) //nolint:err113 // a finding
	}
	number, numbered := object["id"].(json.Number)
	if !numbered {
		if !f.alone && !s.unnamed {
			return fmt.Errorf("%s answers nothing that was sent", f.name) //nolint:err113 // a finding
		}
		return nil
	}
	id, err := number.Int64()
	command, sent := s.named[id]
	delete(s.named, id) // one answer each
	if err != nil || !sent {
		return fmt.Errorf("%s answers %s, which was not sent", f.name, number) //nolint:err113 // a finding
	}
	return s.traffic.contract.answered(command, f, object, s.traffic.note)
}

// Closed checks the code with which the server closed the socket.
func (s *Socket) Closed(code int) {
	if !s.traffic.contract.closeCodes[fmt.Sprint(code)] {
		s.traffic.report(fmt.Errorf("the socket was closed with %d, which is not described", code)) //nolint:err113 // a finding
		return
	}
	s.traffic.note(fmt.Sprintf("socket closes with %d", code))
}
