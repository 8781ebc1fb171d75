package observe

import (
	"cmp"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// The linker sets these: -X github.com/parley-chat/parley/pkg/observe.version=… .commit=… .date=….
var version, commit, date string //nolint:gochecknoglobals // the linker sets nothing else

// Build identifies the source that a program was built from.
type Build struct{ Version, Commit, Date, Go string }

// ThisBuild returns the Build of the running program: the values from the linker, or else Go's build info.
func ThisBuild() Build {
	b := Build{Version: version, Commit: commit, Date: date, Go: runtime.Version()}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = &debug.BuildInfo{}
	}
	for _, setting := range info.Settings {
		switch setting.Key {
		case "vcs.revision":
			b.Commit = cmp.Or(b.Commit, setting.Value)
		case "vcs.time":
			b.Date = cmp.Or(b.Date, setting.Value)
		}
	}
	b.Version = cmp.Or(b.Version, info.Main.Version, "(devel)")
	b.Commit, b.Date = cmp.Or(b.Commit, "unknown"), cmp.Or(b.Date, "unknown")
	return b
}

// String returns one line for people to read.
func (b Build) String() string {
	return fmt.Sprintf("parley %s (commit %s of %s, %s)", b.Version, b.Commit, b.Date, b.Go)
}

func (b Build) register(reg prometheus.Registerer) {
	promauto.With(reg).NewGauge(prometheus.GaugeOpts{
		Name: "parley_build_info", Help: "Always 1; the labels identify the build.",
		ConstLabels: prometheus.Labels{"version": b.Version, "commit": b.Commit, "date": b.Date, "goversion": b.Go},
	}).Set(1)
}
