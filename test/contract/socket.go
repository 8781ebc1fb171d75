package contract

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// The channels of asyncapi.yaml.
const (
	socketChannel = "socket"
	streamChannel = "stream"
)

// channel is what the server sends somewhere.
type channel struct {
	frames map[string]*frame // by type
}

// frame is a kind of frame that is described.
type frame struct {
	name    string // of the message in asyncapi.yaml
	payload place
	alone   bool // comes by itself, not only as an answer
}

// Command is what clients send.
type Command struct {
	Type    string
	payload place
	example map[string]any
	replies []string // names of messages
	codes   []string
}

func (c *Contract) readAsyncAPI(compiler *jsonschema.Compiler) error {
	root := place{document: AsyncAPI}
	c.channels = map[string]*channel{socketChannel: {map[string]*frame{}}, streamChannel: {map[string]*frame{}}}
	c.commands, c.closeCodes = map[string]*Command{}, map[string]bool{}
	codes, _ := c.object(root.at("channels", socketChannel, "x-close-codes"))
	for code := range codes {
		c.closeCodes[code] = true
	}
	operations, _ := c.object(root.at("operations"))
	for name := range operations {
		if err := c.readExchange(compiler, root.at("operations", name)); err != nil {
			return fmt.Errorf("operation %s: %w", name, err)
		}
	}
	for name := range c.channels { // what is in a channel must be in an operation, and the reverse
		messages, _ := c.object(root.at("channels", name, "messages"))
		for message := range messages {
			if !c.used(name, message) {
				return fmt.Errorf("channel %s: nobody sends %s", name, message) //nolint:err113 // a finding
			}
		}
	}
	return nil
}

func (c *Contract) used(channel, message string) bool {
	for _, f := range c.channels[channel].frames {
		if f.name == message {
			return true
		}
	}
	return channel == socketChannel && c.commands[message] != nil
}

// readExchange reads an operation: a command with its replies, or what the server sends by itself.
func (c *Contract) readExchange(compiler *jsonschema.Compiler, p place) error {
	described, p := c.object(p)
	messages := c.messages(p.at("messages"))
	if described["action"] == "send" {
		return c.addFrames(compiler, c.channelOf(p), messages, true)
	}
	replies := c.messages(p.at("reply", "messages"))
	for _, at := range messages {
		command := &Command{payload: at.at("payload")}
		kind, _ := c.find(command.payload.at("properties", "type", "const"))
		example, _ := c.find(at.at("examples", "0", "payload"))
		command.Type, _ = kind.(string)
		command.example, _ = example.(map[string]any)
		for _, r := range replies {
			command.replies = append(command.replies, r.path[len(r.path)-1])
		}
		for _, code := range list(described["x-error-codes"]) {
			text, _ := code.(string)
			command.codes = append(command.codes, text)
		}
		if err := c.compile(compiler, command.payload); err != nil {
			return err
		}
		c.commands[command.Type] = command
	}
	return c.addFrames(compiler, socketChannel, replies, false)
}

func (c *Contract) channelOf(p place) string {
	_, at := c.find(p.at("channel"))
	return at.path[len(at.path)-1]
}

// messages are the places of the messages that the list at p refers to.
func (c *Contract) messages(p place) (at []place) {
	referred, p := c.find(p)
	for i := range list(referred) {
		_, one := c.find(p.at(fmt.Sprint(i)))
		at = append(at, one)
	}
	return at
}

func (c *Contract) addFrames(compiler *jsonschema.Compiler, channel string, messages []place, alone bool) error {
	for _, at := range messages {
		payload := at.at("payload")
		kind, _ := c.find(payload.at("properties", "type", "const"))
		text, ok := kind.(string)
		if !ok {
			return fmt.Errorf("%s has no type", payload.name()) //nolint:err113 // a finding
		}
		if err := c.compile(compiler, payload); err != nil {
			return err
		}
		f := c.channels[channel].frames[text]
		if f == nil {
			f = &frame{name: at.path[len(at.path)-1], payload: payload}
			c.channels[channel].frames[text] = f
		}
		f.alone = f.alone || alone
	}
	return nil
}

// check holds a frame of the server against its description.
func (c *Contract) check(channel string, text []byte, note func(string)) (*frame, map[string]any, error) {
	content, err := decode(text)
	if err != nil {
		return nil, nil, err
	}
	object, _ := content.(map[string]any)
	kind, _ := object["type"].(string)
	f := c.channels[channel].frames[kind]
	if f == nil {
		return nil, nil, fmt.Errorf("a frame that is not described: %s", text) //nolint:err113 // a finding
	}
	if err := c.validate(f.payload, content); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", text, err)
	}
	note(channel + " sends " + f.name)
	c.fields(f.payload, content, note)
	return f, object, nil
}

// command notes what a client sends; nil is none that is described.
func (c *Contract) command(text []byte, note func(string)) *Command {
	var head struct {
		Type string `json:"type"`
	}
	if json.Unmarshal(text, &head) != nil {
		return nil
	}
	command := c.commands[head.Type]
	if command == nil {
		return nil
	}
	if content, err := decode(text); err == nil && c.validate(command.payload, content) == nil {
		note("client sends " + command.Type)
	}
	return command
}

// answered checks that f may answer the command, nil for what was none.
func (c *Contract) answered(command *Command, f *frame, object map[string]any, note func(string)) error {
	code, _ := object["code"].(string)
	if command == nil {
		if code != "bad_request" && code != "unauthenticated" {
			return fmt.Errorf("what is no command is answered with %s %s", f.name, code) //nolint:err113 // a finding
		}
		return nil
	}
	if !slices.Contains(command.replies, f.name) {
		return fmt.Errorf("%s is answered with %s", command.Type, f.name) //nolint:err113 // a finding
	}
	if f.name == "error" && !slices.Contains(command.codes, code) {
		return fmt.Errorf("%s is answered with the error %s, which is not described", command.Type, code) //nolint:err113 // a finding
	}
	note(strings.TrimSuffix(command.Type+" is answered with "+f.name+" "+code, " "))
	return nil
}
