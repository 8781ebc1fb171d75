package harness

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// outcome is a report that holds or does not.
type outcome struct {
	Fine bool `json:"fine"`
}

func (o *outcome) Write(w io.Writer) { _, _ = fmt.Fprintln(w, "written") }
func (o *outcome) Holds() bool       { return o.Fine }

func TestAnInstrumentEndsAsItsReportSays(t *testing.T) {
	for name, c := range map[string]struct {
		report *outcome
		err    error
		status int
	}{
		"holds":            {&outcome{Fine: true}, nil, StatusHolds},
		"does not hold":    {&outcome{}, nil, StatusFails},
		"broke at the end": {&outcome{Fine: true}, errors.New("broken"), StatusUnknown},
		"nothing to tell":  {nil, errors.New("broken"), StatusUnknown},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("TMPDIR", t.TempDir())
			var out, errOut strings.Builder
			file, used := filepath.Join(t.TempDir(), "report.json"), ""
			status := Run(Instrument{Name: "try", JSON: file, Out: &out, ErrOut: &errOut}, func(folder string) (*outcome, error) {
				used = folder
				return c.report, c.err
			})
			if status != c.status {
				t.Error(status, errOut.String())
			}
			if _, err := os.Stat(used); (err == nil) != (c.status != StatusHolds) {
				t.Errorf("the folder of the run: %v", err)
			}
			if stays := strings.Contains(errOut.String(), "stay in "+used); stays != (c.status != StatusHolds) {
				t.Error(errOut.String())
			}
			if told := strings.Contains(errOut.String(), "broken"); told != (c.err != nil) {
				t.Error(errOut.String())
			}
			content, _ := os.ReadFile(file)
			if reported := c.report != nil; reported != strings.Contains(out.String(), "written") || reported != strings.Contains(string(content), "fine") {
				t.Errorf("out %q, file %q", out.String(), content)
			}
		})
	}
}

func TestOneVerdictThatFailsIsEnough(t *testing.T) {
	var out strings.Builder
	progress := NewProgress(io.Discard)
	all := Verdicts{{What: "first", Holds: true}, progress.NoneDied()}
	if !all.Holds() {
		t.Error(all)
	}
	progress.Died("edge-1 died")
	if all = append(all, progress.NoneDied()); all.Holds() {
		t.Error(all)
	}
	if all.Write(&out); !strings.Contains(out.String(), "FAILED  no process died  1 did") {
		t.Error(out.String())
	}
}
