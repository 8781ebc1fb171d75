package harness

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/datadir"
	"github.com/parley-chat/parley/test/localcluster"
)

// The administrator of the clusters that are started.
const (
	AdminName     = "root"
	AdminPassword = "correct horse battery"
)

// Cluster is a cluster that runs.
type Cluster struct {
	*localcluster.Cluster

	Folder *datadir.Dir // of its data and logs
	stop   func() error
}

// Start starts a cluster on the data folder: 2 rooms pods and 3 edges, unless config says otherwise, with an
// administrator. Died is called with each process that died. Running ends with ctx, or when the cluster does.
func Start(ctx context.Context, folder string, config localcluster.Config, log *slog.Logger, died func(message string)) (running context.Context, c *Cluster, err error) {
	dir, err := datadir.Open(folder)
	if err != nil {
		return nil, nil, err
	}
	config.Listen = "127.0.0.1:0"
	if config.Edges == 0 {
		config.Edges = 3
	}
	config.Rooms = 2
	config.Env = append([]string{"PARLEY_ADMIN_USER=" + AdminName, "PARLEY_ADMIN_PASSWORD=" + AdminPassword}, config.Env...)
	started, err := localcluster.New(ctx, config, dir, log, died)
	if err != nil {
		return nil, nil, errors.Join(err, dir.Close())
	}
	running, stop, err := started.Start(ctx)
	if err != nil {
		return nil, nil, errors.Join(err, dir.Close())
	}
	return running, &Cluster{Cluster: started, Folder: dir, stop: stop}, nil
}

// Stop stops it, and returns what went wrong while it ran.
func (c *Cluster) Stop() error { return errors.Join(c.stop(), c.Folder.Close()) }

// retryMargin comes on top of what a refusal says.
const retryMargin = 100 * time.Millisecond

// RetryLimited tries again for as long as the limits say so.
func RetryLimited(ctx context.Context, try func() error) error {
	for {
		err := try()
		refused, ok := errors.AsType[*chat.Error](err)
		if !ok || refused.Code != chat.CodeRateLimited || Pause(ctx, refused.RetryAfter+retryMargin) != nil {
			return err
		}
	}
}
