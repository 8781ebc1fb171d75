package standalone

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/parley-chat/parley/pkg/env"
	"github.com/parley-chat/parley/services/auth"
)

// Command runs a subcommand, beside a server that may be running on the same data folder.
func (s *Server) Command(reader *env.Reader, args []string) error {
	if len(args) != 2 || args[0] != "createsuperuser" {
		return errors.New("usage:\n  standalone                        serve\n  standalone createsuperuser NAME   make a staff account and print its password")
	}
	config := auth.StoreConfigFrom(reader)
	if err := reader.Err(); err != nil {
		return err
	}
	login := auth.Credentials{Username: args[1], Password: rand.Text()}
	if err := auth.CreateSuperuser(context.Background(), config, login); err != nil {
		return fmt.Errorf("make %s: %w", login.Username, err)
	}
	_, err := fmt.Fprintf(s.out, "made the staff account %s, password %s\n", login.Username, login.Password)
	return err
}
