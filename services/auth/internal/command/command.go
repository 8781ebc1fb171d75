// Package command holds the subcommands of auth.
package command

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/parley-chat/parley/pkg/env"
	"github.com/parley-chat/parley/services/auth"
)

const usage = `usage:
  auth                                              serve
  auth health                                       is the one that runs here ready?
  auth createsuperuser [-password-file FILE] NAME   make a staff account; without a file it asks for the
                                                    password, or reads it from standard input
  auth rotatekeys                                   have the next signing key take over
  auth renewlogs                                    after a restore from a backup, while auth is stopped:
                                                    give the log of what auth tells the others another name`

// limit bounds how long a command may take.
const limit = 2 * time.Minute

// Run runs the subcommand that args name.
func Run(reader *env.Reader, args []string, stdin *os.File, out io.Writer) error {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	switch args[0] {
	case "createsuperuser":
		return createSuperuser(ctx, reader, args[1:], stdin, out)
	case "rotatekeys":
		return rotateKeys(ctx, reader, out)
	case "renewlogs", "newlogs": // its name in 0.1
		return newLogs(ctx, reader, out)
	default:
		return errors.New(usage)
	}
}

func createSuperuser(ctx context.Context, reader *env.Reader, args []string, stdin *os.File, out io.Writer) error {
	flags := flag.NewFlagSet("createsuperuser", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	name := flags.String("username", "", "")
	file := flags.String("password-file", "", "")
	err := flags.Parse(args)
	if err == nil && *name == "" && flags.NArg() > 0 {
		*name = flags.Arg(0)
		err = flags.Parse(flags.Args()[1:]) // flags may follow the name
	}
	if err != nil || *name == "" || flags.NArg() > 0 {
		return errors.New(usage)
	}
	config := auth.StoreConfigFrom(reader)
	if err = reader.Err(); err != nil {
		return err
	}
	password, err := readPassword(*file, stdin, out)
	if err != nil {
		return err
	}
	if err = auth.CreateSuperuser(ctx, config, auth.Credentials{Username: *name, Password: password}); err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "made the staff account %q\n", *name)
	return err
}

// readPassword takes the password from a file, from somebody at a terminal (twice, without echo),
// or as the first line of standard input; never from the arguments, which everybody can see.
func readPassword(file string, stdin *os.File, out io.Writer) (string, error) {
	if file != "" {
		content, err := os.ReadFile(file) //nolint:gosec // the operator names the file
		return strings.TrimRight(string(content), "\r\n"), err
	}
	fd := int(stdin.Fd())
	if !term.IsTerminal(fd) {
		line, err := bufio.NewReader(stdin).ReadString('\n')
		if errors.Is(err, io.EOF) && line != "" {
			err = nil
		}
		if err != nil {
			return "", fmt.Errorf("reading the password from standard input: %w", err)
		}
		return strings.TrimRight(line, "\r\n"), nil
	}
	var typed [2]string
	for i, prompt := range []string{"Password: ", "Again: "} {
		if _, err := fmt.Fprint(out, prompt); err != nil {
			return "", err
		}
		line, err := term.ReadPassword(fd)
		if err != nil {
			return "", fmt.Errorf("reading the password: %w", err)
		}
		if _, err := fmt.Fprintln(out); err != nil {
			return "", err
		}
		typed[i] = string(line)
	}
	if typed[0] != typed[1] {
		return "", errors.New("the two passwords differ")
	}
	return typed[0], nil
}

func rotateKeys(ctx context.Context, reader *env.Reader, out io.Writer) error {
	config := auth.StoreConfigFrom(reader)
	every := auth.KeyRotationFrom(reader)
	if err := reader.Err(); err != nil {
		return err
	}
	at, err := auth.RotateKeys(ctx, config, every, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "the next key signs from %s on\n", at.UTC().Format(time.RFC3339))
	return err
}

func newLogs(ctx context.Context, reader *env.Reader, out io.Writer) error {
	config := auth.StoreConfigFrom(reader)
	if err := reader.Err(); err != nil {
		return err
	}
	if err := auth.NewLogs(ctx, config); err != nil {
		return err
	}
	_, err := fmt.Fprintln(out, "renewed the name of the lobby's log")
	return err
}
