package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// The README follows one message in six files. They must be there, and short enough to be read.
func TestTheReadmesFilesAreThere(t *testing.T) {
	t.Parallel()
	const repository = "../.."
	readme, err := os.ReadFile(filepath.Join(repository, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	way := regexp.MustCompile("(?m)^\\d\\. \\[`([^`]+)`\\]").FindAllSubmatch(readme, -1)
	if len(way) != 6 {
		t.Errorf("the way of a message has %d files, the README says six", len(way))
	}
	for _, file := range way {
		content, err := os.ReadFile(filepath.Join(repository, string(file[1])))
		if err != nil {
			t.Error(err)
		}
		if lines := bytes.Count(content, []byte("\n")); lines > 400 {
			t.Errorf("%s has %d lines", file[1], lines)
		}
	}
}
