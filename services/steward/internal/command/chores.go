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
	f.Func("label", "NAME=VALUE, for Secrets that are not there at all; may be repeated", func(label string) error {
		name, value, ok := strings.Cut(label, "=")
		if !ok {
			return errors.New("it is not of the form NAME=VALUE")
		}
		labels[name] = value
		return nil
	})
	advice := map[string]string{}
	f.Func("lost", "SECRET=TEXT, what to do where the Secret was made anew while others were there; may be repeated", func(lost string) error {
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
		c.say("%s: made %s", secret.Name, cmp.Or(strings.Join(keys, ", "), "nothing, all is there"))
		if len(keys) > 0 {
			made = append(made, secret.Name)
		}
	}
	for _, line := range secrets.Lost(made, advice) {
		c.say("%s", line)
	}
	return nil
}

func (c *Command) check(ctx context.Context, args []string) error {
	f := c.flags("check", "", time.Minute)
	o := check.Options{Out: c.Out}
	url := f.String("url", "", "base URL of all the services, as people reach them, in place of the others")
	f.StringVar(&o.Auth, "auth", "", "base URL of auth")
	f.StringVar(&o.Rooms, "rooms", "", "base URL of rooms")
	f.StringVar(&o.Web, "web", "", "base URL of web; it may be left out")
	f.Func("edges", "host:port of the edges, comma-separated; a name with several addresses, such as a headless Service, is as many edges", func(edges string) error {
		o.Edges = strings.Split(edges, ",")
		return nil
	})
	room := f.String("room", "general", "where to talk as a guest, or as somebody who may make no room")
	f.BoolVar(&o.MakeAccount, "make-account", false, "make the account of PARLEY_CHECK_USER where it is not there")
	f.Func("admin", "host:port of the admin listeners of the pods that use Redis, comma-separated, whose readiness is looked at; names as in --edges", func(pods string) error {
		o.Admin = strings.Split(pods, ",")
		return nil
	})
	pod := f.String("pod", "", "NAME=SERVICEACCOUNT of the pod that this runs in: it is deleted with that account")
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
	c.own(ctx, *pod)
	if err := check.Run(ctx, o); err != nil {
		return err
	}
	c.say("OK: people can talk")
	return nil
}

// own has the pod that this runs in deleted with the service account of the release: the test's pod stays for its log to be
// read, and Helm does not delete it with the release. Where that is refused the check goes on.
func (c *Command) own(ctx context.Context, pod string) {
	name, account, ok := strings.Cut(pod, "=")
	if !ok {
		return
	}
	api, err := kube.InCluster(c.Env, kube.Mounted)
	if err == nil {
		err = kube.DeleteWith(ctx, api, name, account)
	}
	if err != nil {
		c.say("this pod stays when the release goes, delete it by hand: %v", err)
	}
}

// place adds the flags that say where backups are kept, the first of them under name; what it returns
// opens the place.
func (c *Command) place(f *flags, name string) func() (backup.Place, error) {
	var b backup.Bucket
	f.StringVar(&b.URL, name, "", "where backups are kept: s3://bucket/prefix, or a folder")
	f.StringVar(&b.Endpoint, "endpoint", "https://s3.amazonaws.com", "the S3 server")
	f.StringVar(&b.Region, "region", "", "the bucket's region; the server is asked where it is left out")
	f.BoolVar(&b.PathStyle, "path-style", false, "put the bucket in the path, as MinIO and others want it")
	return func() (backup.Place, error) {
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
	f := c.flags("upload", " --to PLACE FILE…", time.Hour)
	open := c.place(f, "to")
	keep := f.Int("keep", 14, "how many complete backups to keep, the new one among them; 0 keeps all")
	if err := f.parse(args, true); err != nil {
		return err
	}
	place, err := open()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	made, removed, err := backup.Upload(ctx, place, f.Args(), time.Now(), *keep)
	if err != nil {
		return err
	}
	c.say("%s: kept %d files, %d bytes", made.Name, len(made.Files), made.Size())
	for _, name := range removed {
		c.say("%s: removed", name)
	}
	return nil
}

func (c *Command) download(ctx context.Context, args []string) error {
	f := c.flags("download", " --from PLACE --into FOLDER", time.Hour)
	open := c.place(f, "from")
	into := f.String("into", "", "the folder that takes the files")
	name := f.String("backup", "", "which one, by its time such as 20261122T030405Z; the newest where it is left out")
	list := f.Bool("list", false, "only tell which there are")
	if err := f.parse(args, false); err != nil {
		return err
	}
	if *into == "" && !*list {
		return errors.New("give --into FOLDER, or --list")
	}
	place, err := open()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	if *list {
		return c.list(ctx, place)
	}
	set, err := backup.Download(ctx, place, *name, *into)
	if err != nil {
		return err
	}
	c.say("%s: fetched %d files, %d bytes, into %s", set.Name, len(set.Files), set.Size(), *into)
	return nil
}

func (c *Command) list(ctx context.Context, place backup.Place) error {
	sets, err := backup.Sets(ctx, place)
	if err != nil {
		return err
	}
	for _, set := range sets {
		state := "complete"
		if !set.Complete {
			state = "NOT COMPLETE"
		}
		c.say("%s: %d files, %d bytes, %s", set.Name, len(set.Files), set.Size(), state)
	}
	if len(sets) == 0 {
		c.say("there is no backup")
	}
	return nil
}
