package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

const folder = "../../../charts/parley/files/dashboards"

func TestTheFilesAreCurrent(t *testing.T) {
	wanted := map[string]bool{}
	for _, d := range All() {
		wanted[d.File()] = true
		want, err := d.Render()
		if err != nil {
			t.Fatal(err)
		}
		if is, err := os.ReadFile(filepath.Join(folder, d.File())); err != nil || !bytes.Equal(is, want) {
			t.Errorf("charts/parley/files/dashboards/%s is not what the code says (%v): make dashboards", d.File(), err)
		}
	}
	files, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if !wanted[file.Name()] {
			t.Errorf("charts/parley/files/dashboards/%s is of no dashboard in the code: it would be shipped, and never kept", file.Name())
		}
	}
}
