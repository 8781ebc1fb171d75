// Package env reads a process's configuration from environment variables. Each variable has a type, a
// default and a sentence of documentation, and all mistakes are reported at once.
package env

import (
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Variable is one row of the documentation's table.
type Variable struct {
	Name, Default, Doc string
	Required, Secret   bool
}

// Reader reads variables. It records each variable for the documentation, and each mistake.
type Reader struct {
	lookup   func(string) (string, bool)
	table    []Variable
	mistakes []string
}

// New returns a Reader that uses lookup: os.LookupEnv in programs, a map in tests.
func New(lookup func(string) (string, bool)) *Reader { return &Reader{lookup: lookup} }

// Table lists the variables that were read, in reading order.
func (r *Reader) Table() []Variable { return slices.Clone(r.table) }

// Err returns one error that lists all mistakes, or nil.
func (r *Reader) Err() error {
	if len(r.mistakes) == 0 {
		return nil
	}
	return fmt.Errorf("the configuration has %d mistake(s):\n  %s", len(r.mistakes), strings.Join(r.mistakes, "\n  "))
}

// Mistake records a problem that the caller found, such as two variables that contradict each other.
func (r *Reader) Mistake(format string, args ...any) {
	r.mistakes = append(r.mistakes, fmt.Sprintf(format, args...))
}

// String reads name. It returns fallback if the variable is unset or empty.
func (r *Reader) String(name, fallback, doc string) string {
	return r.read(Variable{Name: name, Default: fallback, Doc: doc})
}

// Required reads name. It records a mistake if the variable is unset or empty.
func (r *Reader) Required(name, doc string) string {
	return r.read(Variable{Name: name, Doc: doc, Required: true})
}

// Secret reads name, or else the file that the variable name_FILE points to, without trailing newlines.
func (r *Reader) Secret(name, doc string) string { return r.secret(name, doc, false) }

// RequiredSecret is like Secret, but records a mistake if there is no value.
func (r *Reader) RequiredSecret(name, doc string) string { return r.secret(name, doc, true) }

func (r *Reader) secret(name, doc string, required bool) string {
	r.table = append(r.table, Variable{Name: name, Doc: doc + " Or set `" + name + "_FILE` to a file that contains it.", Required: required, Secret: true})
	if value, ok := r.lookup(name); ok && value != "" {
		return value
	}
	path, ok := r.lookup(name + "_FILE")
	if !ok || path == "" {
		if required {
			r.Mistake("%s (or %s_FILE) is not set: %s", name, name, doc)
		}
		return ""
	}
	content, err := os.ReadFile(path) //nolint:gosec // the operator names the file
	if err != nil {
		r.Mistake("%s_FILE: %v", name, err)
		return ""
	}
	value := strings.TrimRight(string(content), "\r\n")
	if value == "" {
		r.Mistake("%s_FILE: %s is empty", name, path)
	}
	return value
}

// Bool reads true or false.
func (r *Reader) Bool(name string, fallback bool, doc string) bool {
	return parse(r, name, strconv.FormatBool(fallback), doc, "true or false", strconv.ParseBool)
}

// Int reads a whole number of at least lowest.
func (r *Reader) Int(name string, fallback, lowest int, doc string) int {
	return parse(r, name, strconv.Itoa(fallback), doc, fmt.Sprintf("a whole number of at least %d", lowest), func(s string) (int, error) {
		n, err := strconv.Atoi(s)
		if err == nil && n < lowest {
			err = strconv.ErrRange
		}
		return n, err
	})
}

// Float reads a number of at least 0.
func (r *Reader) Float(name string, fallback float64, doc string) float64 {
	return parse(r, name, strconv.FormatFloat(fallback, 'g', -1, 64), doc, "a number of at least 0", func(s string) (float64, error) {
		f, err := strconv.ParseFloat(s, 64)
		if err == nil && !(f >= 0) {
			err = strconv.ErrRange
		}
		return f, err
	})
}

// Duration reads a Go duration of at least 0, such as 30s or 5m.
func (r *Reader) Duration(name string, fallback time.Duration, doc string) time.Duration {
	return parse(r, name, short(fallback), doc, "a duration such as 30s or 5m", func(s string) (time.Duration, error) {
		d, err := time.ParseDuration(s)
		if err == nil && d < 0 {
			err = strconv.ErrRange
		}
		return d, err
	})
}

// URLs reads a comma-separated list of http or https base URLs. An empty list is a mistake.
func (r *Reader) URLs(name, doc string) []string {
	var urls []string
	for _, item := range r.List(name, "", doc) {
		u, err := url.Parse(item)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			r.Mistake("%s: %q is not an http or https URL", name, item)
			continue
		}
		urls = append(urls, strings.TrimRight(item, "/"))
	}
	if len(urls) == 0 {
		r.Mistake("%s is not set: %s", name, doc)
	}
	r.table[len(r.table)-1].Required = true
	return urls
}

// List reads comma-separated items and skips empty ones.
func (r *Reader) List(name, fallback, doc string) []string {
	var items []string
	for item := range strings.SplitSeq(r.String(name, fallback, doc), ",") {
		if item = strings.TrimSpace(item); item != "" {
			items = append(items, item)
		}
	}
	return items
}

// Prefixes reads comma-separated networks in CIDR form.
func (r *Reader) Prefixes(name, fallback, doc string) []netip.Prefix {
	var prefixes []netip.Prefix
	for _, item := range r.List(name, fallback, doc) {
		p, err := netip.ParsePrefix(item)
		if err != nil {
			r.Mistake("%s: %q is not a network such as 10.0.0.0/8", name, item)
			continue
		}
		prefixes = append(prefixes, p)
	}
	return prefixes
}

func (r *Reader) read(v Variable) string {
	r.table = append(r.table, v)
	if value, ok := r.lookup(v.Name); ok && value != "" {
		return value
	}
	if v.Required {
		r.Mistake("%s is not set: %s", v.Name, v.Doc)
	}
	return v.Default
}

func parse[T any](r *Reader, name, fallback, doc, want string, parse func(string) (T, error)) T {
	text := r.read(Variable{Name: name, Default: fallback, Doc: doc})
	value, err := parse(text)
	if err != nil {
		r.Mistake("%s: %q is not %s", name, text, want)
		value, _ = parse(fallback)
	}
	return value
}

// short writes 5m0s as 5m.
func short(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
