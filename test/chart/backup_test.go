//go:build chart

package chart

import (
	"slices"
	"strings"
	"testing"
)

// TestRestore: what is restored from a backup is given other names before anybody serves it, and nothing of it happens unasked.
func TestRestore(t *testing.T) {
	for name, c := range map[string]struct {
		values, from string
		order        []string
	}{
		"one database, from a volume": {
			"backup.enabled=true,backup.volume.enabled=true", "--from=/backups",
			[]string{"fetch", "restore-parley", "renewlogs-auth", "renewlogs-rooms"},
		},
		"two databases, from S3": {
			"evaluation.enabled=false,redis.external.host=r,postgres.external.host=p,postgres.external.sslMode=require,postgres.external.rooms.database=rooms," +
				"backup.enabled=true,backup.s3.url=s3://b/p,backup.s3.existingSecret=s", "--from=s3://b/p",
			[]string{"fetch", "restore-auth", "restore-rooms", "renewlogs-auth", "renewlogs-rooms"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			all := render(t, evaluation("--set", c.values)...)
			restore := all.find(t, "CronJob", "parley-restore")
			if restore.at("spec", "suspend") != true {
				t.Error("it runs by itself")
			}
			spec := restore.in("spec", "jobTemplate", "spec", "template", "spec")
			var order []string
			for _, container := range append(spec.list("initContainers"), spec.list("containers")...) {
				order = append(order, container.text("name"))
				what, arguments := container.text("name"), container.all()
				switch {
				case what == "fetch" && (!strings.Contains(arguments, c.from) || !strings.Contains(arguments, "--backup=")):
					t.Errorf("%s: %s", what, arguments)
				case strings.HasPrefix(what, "restore-") && !strings.Contains(arguments, "/dump/"+strings.TrimPrefix(what, "restore-")+".dump"):
					t.Errorf("%s: %s", what, arguments)
				case strings.HasPrefix(what, "renewlogs-") && !strings.Contains(arguments, "args:[renewlogs]"):
					t.Errorf("%s: %s", what, arguments)
				}
			}
			if !slices.Equal(order, c.order) {
				t.Errorf("it does %v, want %v", order, c.order)
			}
			// What fetches must find the files where they were put.
			kept := all.find(t, "CronJob", "parley-backup").in("spec", "jobTemplate", "spec", "template", "spec").list("containers")
			if to := strings.Replace(c.from, "--from", "--to", 1); len(kept) != 1 || !strings.Contains(kept[0].all(), to) {
				t.Errorf("backups are not kept by %s: %v", to, kept)
			}
		})
	}
	if render(t, evaluation()...).has("CronJob", "parley-restore") {
		t.Error("it is there without backups")
	}
}
