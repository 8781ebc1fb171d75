package command

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/services/steward"
	"github.com/parley-chat/parley/services/steward/internal/backup"
	"github.com/parley-chat/parley/services/steward/internal/check"
	"github.com/parley-chat/parley/services/steward/internal/kube"
	"github.com/parley-chat/parley/services/steward/internal/secrets"
)

func (c *Command) secrets(ctx context.Context, args []string) error {
	f := c.flags("secrets", " SECRET/KEY=TEMPLATE…", time.Minute)
	labels := map[string]string{}
	f.Func("label", "NAME=VALUE, a label for Secrets that this command creates; may be repeated", func(label string) error {
		name, value, ok := strings.Cut(label, "=")
		if !ok {
			return errors.New("it is not of the form NAME=VALUE")
		}
		labels[name] = value
		return nil
	})
	advice := map[string]string{}
	f.Func("lost", "SECRET=TEXT, advice to print if this command creates the Secret although others already exist; may be repeated", func(lost string) error {
		name, text, ok := strings.Cut(lost, "=")
		if !ok {
			return errors.New("it is not of the form SECRET=TEXT")
		}
		advice[name] = text
		return nil
	})
	if err := f.parse(args, true); err != nil {
		return err
	}
	wanted, err := secrets.Parse(f.Args())
	if err != nil {
		return err
	}
	api, err := kube.InCluster(c.Env, kube.Mounted)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	var made []string
	for _, secret := range wanted {
		keys, err := secrets.Ensure(ctx, api, secret, labels)
		if err != nil {
			return err
		}
		c.printf("%s: made %s", secret.Name, cmp.Or(strings.Join(keys, ", "), "nothing, all keys exist"))
		if len(keys) > 0 {
			made = append(made, secret.Name)
		}
	}
	for _, line := range secrets.LossAdvice(made, advice) {
		c.printf("%s", line)
	}
	return nil
}

func (c *Command) check(ctx context.Context, args []string) error {
	f := c.flags("check", "", time.Minute)
	o := check.Options{Out: c.Out}
	url := f.String("url", "", "base URL of all services as people reach them, instead of --auth, --rooms, --web and --edges")
	f.StringVar(&o.Auth, "auth", "", "base URL of auth")
	f.StringVar(&o.Rooms, "rooms", "", "base URL of rooms")
	f.StringVar(&o.Web, "web", "", "base URL of web; optional")
	f.Func("edges", "host:port of the edges, comma-separated; a name with several addresses, such as a headless Service, stands for as many edges", func(edges string) error {
		o.Edges = strings.Split(edges, ",")
		return nil
	})
	room := f.String("room", "general", "the room to talk in, if the user may not create one")
	f.BoolVar(&o.MakeAccount, "make-account", false, "create the account of PARLEY_CHECK_USER if it does not exist")
	f.Func("admin", "host:port of the admin listeners of the pods that use Redis, comma-separated, to check their readiness; names as in --edges", func(pods string) error {
		o.Admin = strings.Split(pods, ",")
		return nil
	})
	pod := f.String("pod", "", "NAME=SERVICEACCOUNT of the pod that runs this command: Kubernetes then deletes the pod with that account")
	if err := f.parse(args, false); err != nil {
		return err
	}
	if *url != "" {
		o.Auth, o.Rooms, o.Web, o.Edge = *url, *url, *url, *url
	}
	if o.Auth == "" || o.Rooms == "" || (len(o.Edges) == 0) == (o.Edge == "") {
		return errors.New("give either --url, or --auth, --rooms and --edges")
	}
	account, administrator := steward.AccountFrom(c.Env), steward.AdministratorFrom(c.Env)
	if err := c.Env.Err(); err != nil {
		return err
	}
	o.Account, o.Administrator, o.Room = check.Account(account), check.Account(administrator), chat.Slug(*room)
	ctx, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	c.setOwner(ctx, *pod)
	if err := check.Run(ctx, o); err != nil {
		return err
	}
	c.printf("OK: people can talk")
	return nil
}

// setOwner makes the service account of the release the owner of the pod that runs this command. Helm keeps the pod of
// a test so that its log can be read, and would not delete it with the release. If Kubernetes refuses, the check goes
// on.
func (c *Command) setOwner(ctx context.Context, pod string) {
	name, account, ok := strings.Cut(pod, "=")
	if !ok {
		return
	}
	api, err := kube.InCluster(c.Env, kube.Mounted)
	if err == nil {
		err = kube.SetOwner(ctx, api, name, account)
	}
	if err != nil {
		c.printf("this pod will stay when the release is deleted; delete it by hand: %v", err)
	}
}

// storage adds the flags of the backup storage; name is the flag for its URL. The function that it returns opens the
// storage.
func (c *Command) storage(f *flags, name string) func() (backup.Storage, error) {
	var b backup.Bucket
	f.StringVar(&b.URL, name, "", "the storage of the backups: s3://bucket/prefix, or a folder")
	f.StringVar(&b.Endpoint, "endpoint", "https://s3.amazonaws.com", "the S3 server")
	f.StringVar(&b.Region, "region", "", "the bucket's region; by default the server is asked")
	f.BoolVar(&b.PathStyle, "path-style", false, "put the bucket in the path of the URL, as MinIO and others need it")
	return func() (backup.Storage, error) {
		keys := steward.KeysFrom(c.Env)
		if err := c.Env.Err(); err != nil {
			return nil, err
		}
		b.Access, b.Secret, b.Session, b.CAFile = keys.Access, keys.Secret, keys.Session, keys.CAFile
		switch {
		case strings.HasPrefix(b.URL, "s3://"):
			return backup.OpenS3(b)
		case strings.HasPrefix(b.URL, "/"):
			return backup.Folder(b.URL), nil
		default:
			return nil, fmt.Errorf("--%s %q is neither s3://bucket/prefix nor a folder such as /backups", name, b.URL)
		}
	}
}

func (c *Command) upload(ctx context.Context, args []string) error {
	f := c.flags("upload", " --to STORAGE FILE…", time.Hour)
	open := c.storage(f, "to")
	keep := f.Int("keep", 14, "how many complete backups to keep, including the new one; 0 keeps all")
	if err := f.parse(args, true); err != nil {
		return err
	}
	storage, err := open()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	made, removed, err := backup.Upload(ctx, storage, f.Args(), time.Now(), *keep)
	if err != nil {
		return err
	}
	c.printf("%s: kept %d files, %d bytes", made.Name, len(made.Files), made.Size())
	for _, name := range removed {
		c.printf("%s: removed", name)
	}
	return nil
}

func (c *Command) download(ctx context.Context, args []string) error {
	f := c.flags("download", " --from STORAGE --into FOLDER", time.Hour)
	open := c.storage(f, "from")
	into := f.String("into", "", "the folder to write the files to")
	name := f.String("backup", "", "the backup's time, such as 20261122T030405Z; by default the newest complete backup")
	list := f.Bool("list", false, "only list the backups")
	if err := f.parse(args, false); err != nil {
		return err
	}
	if *into == "" && !*list {
		return errors.New("give --into FOLDER, or --list")
	}
	storage, err := open()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	if *list {
		return c.list(ctx, storage)
	}
	set, err := backup.Download(ctx, storage, *name, *into)
	if err != nil {
		return err
	}
	c.printf("%s: fetched %d files, %d bytes, into %s", set.Name, len(set.Files), set.Size(), *into)
	return nil
}

func (c *Command) list(ctx context.Context, storage backup.Storage) error {
	sets, err := backup.Sets(ctx, storage)
	if err != nil {
		return err
	}
	for _, set := range sets {
		state := "complete"
		if !set.Complete {
			state = "NOT COMPLETE"
		}
		c.printf("%s: %d files, %d bytes, %s", set.Name, len(set.Files), set.Size(), state)
	}
	if len(sets) == 0 {
		c.printf("there is no backup")
	}
	return nil
}
