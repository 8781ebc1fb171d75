package localcluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// superuser is the name of the one account that the database server starts with.
const superuser = "parley"

// Postgres describes a PostgreSQL server of our own.
type Postgres struct {
	Folder   string // takes the data, made at the first start
	Address  string
	Password string
	LogFile  string
	// Throwaway gives up safety for speed: for data that does not outlive the process.
	Throwaway bool
	// Databases are made where they are missing.
	Databases []string
}

// URL is how to connect to one of its databases.
func (p Postgres) URL(database string) string {
	u := url.URL{Scheme: "postgres", User: url.UserPassword(superuser, p.Password), Host: p.Address, Path: "/" + database, RawQuery: "sslmode=disable"}
	return u.String()
}

// Child makes the data folder at the first start and returns the server's process.
func (p Postgres) Child(ctx context.Context) (*Child, error) {
	bin, err := postgresBin()
	if err != nil {
		return nil, err
	}
	sys, err := p.account()
	if err != nil {
		return nil, err
	}
	if _, err = os.Stat(filepath.Join(p.Folder, "PG_VERSION")); errors.Is(err, fs.ErrNotExist) {
		if err = p.initialise(ctx, bin, sys); err != nil {
			return nil, err
		}
	}
	if err = p.forgetDead(); err != nil {
		return nil, err
	}
	host, port, err := net.SplitHostPort(p.Address)
	if err != nil {
		return nil, fmt.Errorf("postgres address: %w", err)
	}
	args := []string{"-D", p.Folder, "-p", port, "-c", "listen_addresses=" + host, "-c", "unix_socket_directories=", "-c", "max_connections=200"}
	if p.Throwaway {
		args = append(args, "-c", "fsync=off", "-c", "full_page_writes=off")
	}
	return &Child{
		Name: "postgres", Address: p.Address, Path: filepath.Join(bin, "postgres"), Args: args, Env: []string{"LC_ALL=C"}, LogFile: p.LogFile,
		Stop: syscall.SIGINT, Grace: 15 * time.Second, Sys: sys, Probe: p.probe,
	}, nil
}

func (p Postgres) initialise(ctx context.Context, bin string, sys *syscall.SysProcAttr) error {
	if err := os.MkdirAll(p.Folder, 0o700); err != nil {
		return fmt.Errorf("postgres folder: %w", err)
	}
	password := p.Folder + ".password"
	defer func() { _ = os.Remove(password) }()
	if err := os.WriteFile(password, []byte(p.Password), 0o600); err != nil {
		return fmt.Errorf("postgres password: %w", err)
	}
	if sys != nil {
		for _, path := range []string{p.Folder, password} {
			if err := os.Chown(path, int(sys.Credential.Uid), int(sys.Credential.Gid)); err != nil {
				return fmt.Errorf("postgres folder: %w", err)
			}
		}
	}
	cmd := exec.CommandContext(ctx, filepath.Join(bin, "initdb"), "-D", p.Folder, "-U", superuser, "--pwfile", password, //nolint:gosec // our own arguments
		"--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-instructions")
	if p.Throwaway {
		cmd.Args = append(cmd.Args, "--no-sync")
	}
	cmd.SysProcAttr, cmd.Env = attached(sys), []string{"LC_ALL=C", "PATH=" + bin + ":/usr/bin:/bin"}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, out)
	}
	return nil
}

// forgetDead removes the mark of a server that was killed and whose remains nobody has collected, as
// where process 1 is no init: PostgreSQL takes those for a server that runs. We hold the folder.
func (p Postgres) forgetDead() error {
	mark := filepath.Join(p.Folder, "postmaster.pid")
	content, err := os.ReadFile(mark) //nolint:gosec // a file of ours
	if err != nil {
		return nil //nolint:nilerr // no mark, or PostgreSQL says what is wrong with it
	}
	pid, _, _ := strings.Cut(string(content), "\n")
	status, err := os.ReadFile(filepath.Join("/proc", filepath.Base(pid), "status"))
	if err != nil || !strings.Contains(string(status), "\nState:\tZ") {
		return nil //nolint:nilerr // it runs, or PostgreSQL sees itself that it does not
	}
	if err := os.Remove(mark); err != nil {
		return fmt.Errorf("postgres folder: %w", err)
	}
	return nil
}

// probe connects and makes the databases that are missing.
func (p Postgres) probe(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, p.URL("postgres"))
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	for _, name := range p.Databases {
		var there bool
		if err := conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", name).Scan(&there); err != nil {
			return fmt.Errorf("look for database %s: %w", name, err)
		}
		if there {
			continue
		}
		if _, err := conn.Exec(ctx, "CREATE DATABASE "+pgx.Identifier{name}.Sanitize()); err != nil {
			return fmt.Errorf("create database %s: %w", name, err)
		}
	}
	return nil
}

// account is who the server runs as: PostgreSQL refuses root, so root hands it to another user.
func (p Postgres) account() (*syscall.SysProcAttr, error) {
	if os.Getuid() != 0 {
		return nil, nil //nolint:nilnil // nothing to change
	}
	account, err := user.Lookup("postgres")
	if err != nil {
		account, err = user.Lookup("nobody")
	}
	if err != nil {
		return nil, fmt.Errorf("PostgreSQL refuses to run as root, and there is neither a user postgres nor nobody: %w", err)
	}
	uid, errUID := strconv.ParseUint(account.Uid, 10, 32)
	gid, errGID := strconv.ParseUint(account.Gid, 10, 32)
	if err := errors.Join(errUID, errGID); err != nil {
		return nil, fmt.Errorf("user %s: %w", account.Username, err)
	}
	sys := &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
	for folder := filepath.Dir(p.Folder); ; folder = filepath.Dir(folder) {
		if info, err := os.Stat(folder); err == nil && info.Mode().Perm()&0o001 == 0 {
			throughFolders(sys)
		}
		if folder == filepath.Dir(folder) {
			return sys, nil
		}
	}
}

// postgresBin finds the folder with the server's programs: that on PATH, else Debian's newest.
func postgresBin() (string, error) {
	if path, err := exec.LookPath("postgres"); err == nil {
		return filepath.Dir(path), nil
	}
	path, err := newestOfDebian("postgres")
	return filepath.Dir(path), err
}

// beside finds another program of the server's: where its others are, on PATH, or with Debian's newest.
func beside(bin, name string) (string, error) {
	if _, err := os.Stat(filepath.Join(bin, name)); err == nil {
		return filepath.Join(bin, name), nil
	}
	path, err := newestOfDebian(name)
	if err == nil {
		return path, nil
	}
	if path, err = exec.LookPath(name); err != nil {
		return "", fmt.Errorf("PostgreSQL is installed without %s: %w", name, err)
	}
	return path, nil
}

// newestOfDebian finds a program of the newest PostgreSQL that Debian's packages have put there.
func newestOfDebian(name string) (string, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/" + name)
	if err != nil || len(found) == 0 {
		return "", errors.New("PostgreSQL is not installed: there is no " + name + " on PATH nor in /usr/lib/postgresql (Debian: apt-get install postgresql)")
	}
	return slices.MaxFunc(found, func(a, b string) int { return cmp.Compare(version(a), version(b)) }), nil
}

// version is the number in /usr/lib/postgresql/15/bin/postgres.
func version(path string) int {
	n, err := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path))))
	if err != nil {
		return 0
	}
	return n
}
