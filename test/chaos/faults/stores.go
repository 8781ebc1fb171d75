package faults

import (
	"context"
	"fmt"
	"strings"
	"syscall"
	"time"

	"github.com/parley-chat/parley/test/chaos/history"
	"github.com/parley-chat/parley/test/harness"
	"github.com/parley-chat/parley/test/localcluster"
)

// redis commands the Redis in use, once it is up.
func (d *driver) redis(ctx context.Context, command string) error {
	return d.command(ctx, d.primary, command)
}

func (d *driver) command(ctx context.Context, redis localcluster.Redis, command string) error {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	for {
		_, err := redis.Do(ctx, command)
		if err == nil {
			return nil
		}
		if harness.Pause(ctx, 50*time.Millisecond) != nil {
			return err
		}
	}
}

// fullRedis has every write refused for a while.
func (d *driver) fullRedis(ctx context.Context) error {
	for _, command := range []string{"CONFIG SET maxmemory-policy noeviction", "CONFIG SET maxmemory 1"} {
		if err := d.redis(ctx, command); err != nil {
			return err
		}
	}
	defer func() { _ = d.redis(context.WithoutCancel(ctx), "CONFIG SET maxmemory 0") }()
	return harness.Pause(ctx, d.scaled(lastsShort))
}

// failOver leads everybody to the other Redis, which followed until some seconds ago.
func (d *driver) failOver(ctx context.Context) error {
	if err := d.command(ctx, d.standby, "REPLICAOF "+strings.Replace(d.primary.Address, ":", " ", 1)); err != nil {
		return err
	}
	limit, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for {
		state, _ := d.standby.Do(limit, "INFO replication") // it may be away for a moment, as it loads
		if strings.Contains(state, "master_link_status:up") {
			break
		}
		if err := harness.Pause(limit, 50*time.Millisecond); err != nil {
			return fmt.Errorf("the replica does not come to follow: %w", err)
		}
	}
	if err := d.command(ctx, d.standby, "REPLICAOF NO ONE"); err != nil {
		return err
	}
	if err := harness.Pause(ctx, d.lag()); err != nil {
		return err
	}
	for _, relay := range []string{"edge>redis", "rooms>redis", "auth>redis"} {
		d.cluster.Relay(relay).Redirect(d.standby.Address)
	}
	d.primary, d.standby = d.standby, d.primary
	return nil
}

// lag is 2 to 4 seconds.
func (d *driver) lag() time.Duration {
	return d.scaled(2*time.Second + time.Duration(d.random.Int64N(int64(2*time.Second))))
}

// restore has all databases go back to a backup of some seconds ago, as an operator does it: rooms and
// auth are stopped, the backup is put in place, and renewlogs says so to whoever knew what is gone.
func (d *driver) restore(ctx context.Context) error {
	began := time.Now()
	backup := d.folder.Path(fmt.Sprintf("backup-%d", len(d.epochs)))
	if err := d.backUp(ctx, backup); err != nil {
		return err
	}
	if err := harness.Pause(ctx, d.lag()); err != nil { // what is acked meanwhile will be gone
		return err
	}
	services := []string{"rooms-1", "rooms-2", "auth"}
	for _, name := range services {
		if err := d.takeDown(ctx, name, syscall.SIGTERM); err != nil {
			return err
		}
		defer d.cluster.Child(name).Release()
	}
	logs, err := d.logs(ctx)
	if err != nil {
		return err
	}
	d.epochs[len(d.epochs)-1].Logs = logs
	if err = d.putBack(ctx, backup); err != nil {
		return err
	}
	for _, name := range []string{"rooms-1", "auth"} {
		if _, err = d.cluster.Child(name).Once(ctx, "renewlogs"); err != nil {
			return err
		}
	}
	kept, err := d.heads(ctx)
	if err != nil {
		return err
	}
	gone := 0
	for room, log := range logs {
		gone += int(log.Head() - kept[room].Seq)
	}
	d.lost += gone
	d.epochs = append(d.epochs, history.Epoch{Began: time.Now(), BackupBegan: began})
	d.progress.Say("restored from a backup of %s ago: %d entries are legitimately gone", millis(time.Since(began)), gone)
	return nil
}

// backUp makes a backup, once the server is up.
func (d *driver) backUp(ctx context.Context, folder string) error {
	for {
		err := d.cluster.Postgres.Serves(ctx)
		if err == nil {
			return d.cluster.Postgres.Backup(ctx, folder)
		}
		if harness.Pause(ctx, 50*time.Millisecond) != nil {
			return err
		}
	}
}

func (d *driver) takeDown(ctx context.Context, name string, signal syscall.Signal) error {
	child, err := d.up(ctx, name)
	if err != nil {
		return err
	}
	child.Hold()
	if err := child.Signal(signal); err != nil {
		return err
	}
	return d.ends(ctx, child)
}

// putBack puts the backup in the place of the data and waits until the server serves it.
func (d *driver) putBack(ctx context.Context, backup string) error {
	if err := d.takeDown(ctx, "postgres", syscall.SIGINT); err != nil {
		return err
	}
	err := d.cluster.Postgres.Restore(backup)
	d.cluster.Child("postgres").Release()
	for err == nil {
		if d.cluster.Postgres.Serves(ctx) == nil {
			return nil
		}
		err = harness.Pause(ctx, 20*time.Millisecond)
	}
	return err
}
