package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const checkout = "../.." // of the repository

// document is text for people: the Markdown files, and the comments of files that people edit.
type document struct {
	name, text string
	code       []string // what stands in code spans and code blocks, a block by its lines
}

var (
	codeSpan    = regexp.MustCompile("`([^`\n]+(?:\n[^`\n]+)?)`")
	makeCommand = regexp.MustCompile(`\bmake((?: +[A-Z_]+=\S*| +[a-z][a-z0-9-]*)+)`)
	link        = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	repoPath    = regexp.MustCompile(`(?:^|[\s(=])((?:services|docs|k8s|charts|pkg|tilt|test|\.ci|\.github)/[A-Za-z0-9._/-]+)`)
	variable    = regexp.MustCompile(`\bPARLEY_[A-Z0-9_]*[A-Z0-9]\b`)
	logMessage  = regexp.MustCompile(`^[a-z]+(?:[ '][a-z]+)+$`)
)

func contentOf(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(checkout, path))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// walk calls see with each file that is part of the repository.
func walk(t *testing.T, see func(path string)) {
	t.Helper()
	err := fs.WalkDir(os.DirFS(checkout), ".", func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && slices.Contains([]string{".git", ".cache", "bin", "data", "node_modules", "testdata"}, entry.Name()):
			return fs.SkipDir
		case !entry.IsDir():
			see(path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func documents(t *testing.T) []document {
	t.Helper()
	var all []document
	walk(t, func(path string) {
		name := filepath.Base(path)
		switch {
		case strings.HasSuffix(name, ".md"), strings.HasSuffix(name, ".md.gotmpl"):
			d := document{name: path, text: contentOf(t, path)}
			d.code = codeIn(d.text)
			all = append(all, d)
		case name == "compose.yaml", strings.HasPrefix(name, "values") && strings.HasSuffix(name, ".yaml"):
			d := document{name: path, text: contentOf(t, path)}
			for _, span := range codeSpan.FindAllStringSubmatch(d.text, -1) {
				d.code = append(d.code, span[1])
			}
			all = append(all, d)
		}
	})
	if len(all) < 20 {
		t.Fatalf("only %d documents", len(all))
	}
	return all
}

// codeIn returns the code spans of a Markdown text, and the lines of its code blocks without their comments.
func codeIn(text string) []string {
	var code []string
	var prose strings.Builder
	fenced := false
	for line := range strings.Lines(text) {
		switch {
		case strings.HasPrefix(line, "```"):
			fenced = !fenced
		case fenced, strings.HasPrefix(line, "    "):
			line, _, _ = strings.Cut(line, " #")
			code = append(code, strings.TrimSpace(line))
		default:
			prose.WriteString(line)
			continue
		}
		prose.WriteString("\n")
	}
	for _, span := range codeSpan.FindAllStringSubmatch(prose.String(), -1) {
		code = append(code, strings.ReplaceAll(span[1], "\n", " "))
	}
	return code
}

// Every target that the documentation names, and every variable that it gives to make, is in the Makefile.
func TestDocumentedMakeTargetsExist(t *testing.T) {
	t.Parallel()
	makefile := contentOf(t, "Makefile")
	found := 0
	for _, d := range documents(t) {
		for _, code := range d.code {
			for _, command := range makeCommand.FindAllStringSubmatch(code, -1) {
				for word := range strings.FieldsSeq(command[1]) {
					found++
					if name, _, isVariable := strings.Cut(word, "="); isVariable {
						if !strings.Contains(makefile, "("+name+")") {
							t.Errorf("%s: make %s: the Makefile does not read %s", d.name, word, name)
						}
					} else if !strings.Contains(makefile, "\n"+name+":") {
						t.Errorf("%s: make has no target %s", d.name, name)
					}
				}
			}
		}
	}
	if found < 50 {
		t.Errorf("found only %d targets and variables", found)
	}
}

// Every relative link leads to a file, and its anchor to a heading there.
func TestDocumentedLinksResolve(t *testing.T) {
	t.Parallel()
	for _, d := range documents(t) {
		for _, found := range link.FindAllStringSubmatch(d.text, -1) {
			if strings.Contains(found[1], ":") {
				continue // another site
			}
			path, anchor, _ := strings.Cut(found[1], "#")
			target := d.name
			if path != "" {
				target = filepath.Join(filepath.Dir(d.name), path)
			}
			if _, err := os.Stat(filepath.Join(checkout, target)); err != nil {
				t.Errorf("%s: %s: there is no %s", d.name, found[1], target)
				continue
			}
			if anchor != "" && !slices.Contains(anchors(contentOf(t, target)), anchor) {
				t.Errorf("%s: %s: no heading of %s has that anchor", d.name, found[1], target)
			}
		}
	}
}

// anchors returns what GitHub makes of a page's headings.
func anchors(text string) []string {
	var all []string
	for line := range strings.Lines(text) {
		if heading := strings.TrimLeft(line, "#"); heading != line && strings.HasPrefix(heading, " ") {
			heading = strings.ToLower(strings.TrimSpace(heading))
			heading = regexp.MustCompile(`[^\p{L}\p{N} _-]`).ReplaceAllString(heading, "")
			all = append(all, strings.ReplaceAll(heading, " ", "-"))
		}
	}
	return all
}

// Every path of the repository that the documentation names is there.
func TestDocumentedPathsExist(t *testing.T) {
	t.Parallel()
	found := 0
	for _, d := range documents(t) {
		for _, code := range d.code {
			for _, path := range repoPath.FindAllStringSubmatch(code, -1) {
				found++
				file := strings.TrimSuffix(strings.TrimRight(path[1], "."), "/")
				_, err := os.Stat(filepath.Join(checkout, file))
				if _, beside := os.Stat(filepath.Join(checkout, filepath.Dir(d.name), file)); err != nil && beside != nil {
					t.Errorf("%s: there is no %s", d.name, file)
				}
			}
		}
	}
	if found < 30 {
		t.Errorf("found only %d paths", found)
	}
}

// Every variable that the documentation names is one that a program reads, or Tilt.
func TestDocumentedVariablesExist(t *testing.T) {
	t.Parallel()
	known := variable.FindAllString(contentOf(t, "docs/configuration.md")+contentOf(t, "Tiltfile"), -1)
	for _, d := range documents(t) {
		for _, name := range variable.FindAllString(d.text, -1) {
			group := slices.ContainsFunc(known, func(k string) bool { return strings.HasPrefix(k, name+"_") }) // PARLEY_LIMIT_…
			if !group && !slices.Contains(known, name) && !slices.Contains(known, strings.TrimSuffix(name, "_FILE")) {
				t.Errorf("%s: nothing reads %s", d.name, name)
			}
		}
	}
}

// A log message that a runbook names is one that a program logs, in the same words.
func TestDocumentedLogMessagesExist(t *testing.T) {
	t.Parallel()
	var source strings.Builder
	walk(t, func(path string) {
		if strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go") {
			source.WriteString(contentOf(t, path))
		}
	})
	found := 0
	for _, d := range documents(t) {
		if !strings.HasPrefix(d.name, "docs/runbooks/") && d.name != "docs/observability.md" {
			continue
		}
		for _, code := range d.code {
			first, _, _ := strings.Cut(code, " ")
			if !logMessage.MatchString(code) || slices.Contains([]string{"auth", "rooms", "helm", "kubectl", "make", "chronyc"}, first) {
				continue
			}
			found++
			if !strings.Contains(source.String(), code) {
				t.Errorf("%s: no program logs “%s”", d.name, code)
			}
		}
	}
	if found < 8 {
		t.Errorf("found only %d log messages", found)
	}
}

// The images that the documentation has people build are those that the chart runs by default.
func TestDocumentedImagesAreTheCharts(t *testing.T) {
	t.Parallel()
	group := func(text, expression string) string {
		found := regexp.MustCompile(expression).FindStringSubmatch(text)
		if found == nil {
			t.Fatalf("nothing is like %s", expression)
		}
		return found[1]
	}
	values := contentOf(t, "charts/parley/values.yaml")
	names := group(values, `\n  registry: (\S+)`) + "/" + group(values, `\n  repository: (\S+)`)
	if prefix := group(contentOf(t, "Makefile"), `\nIMAGE_PREFIX \?= (\S+)`); prefix != names {
		t.Errorf("make images names them %s, the chart %s", prefix, names)
	}
	want, found := group(contentOf(t, "charts/parley/Chart.yaml"), `\nappVersion: (\S+)`), 0
	for _, d := range documents(t) {
		for _, code := range d.code {
			_, arguments, ok := strings.Cut(code, "make images ")
			_, version, versioned := strings.Cut(arguments, "VERSION=")
			if !ok || !versioned || strings.Contains(arguments, "IMAGE_PREFIX=") {
				continue
			}
			found++
			if version, _, _ = strings.Cut(version, " "); version != want {
				t.Errorf("%s: %s: the chart's appVersion is %s", d.name, code, want)
			}
		}
	}
	if found < 3 {
		t.Errorf("found only %d times how to build the images", found)
	}
}
