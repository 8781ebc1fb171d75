package localcluster

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// Backup copies the whole running server, all its databases as of one moment, into folder, which must
// not be there yet and lies on the same file system as the data.
func (p Postgres) Backup(ctx context.Context, folder string) error {
	bin, err := postgresBin()
	if err != nil {
		return err
	}
	program, err := beside(bin, "pg_basebackup")
	if err != nil {
		return err
	}
	sys, err := p.account()
	if err != nil {
		return err
	}
	if err = os.Mkdir(folder, 0o700); err != nil {
		return fmt.Errorf("backup folder: %w", err)
	}
	if sys != nil {
		if err = os.Chown(folder, int(sys.Credential.Uid), int(sys.Credential.Gid)); err != nil {
			return fmt.Errorf("backup folder: %w", err)
		}
	}
	cmd := exec.CommandContext(ctx, program, "-D", folder, "-d", p.URL("postgres"), //nolint:gosec // our own arguments
		"--checkpoint=fast", "--wal-method=stream", "--no-sync", "--no-manifest")
	cmd.SysProcAttr, cmd.Env = attached(sys), []string{"LC_ALL=C", "PATH=" + filepath.Dir(program) + ":/usr/bin:/bin"}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("pg_basebackup: %w\n%s", err, out)
	}
	return nil
}

// Restore puts a backup in the place of the data. The server must be down; the backup is used up.
func (p Postgres) Restore(folder string) error {
	if err := os.RemoveAll(p.Folder); err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	if err := os.Rename(folder, p.Folder); err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	return nil
}

// Serves returns nil if the server takes connections.
func (p Postgres) Serves(ctx context.Context) error { return p.probe(ctx) }
