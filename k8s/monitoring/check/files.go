package check

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"go.yaml.in/yaml/v3"
)

// Rule is a recording rule or an alert of a rule file.
type Rule struct {
	File        string            `yaml:"-"`
	Record      string            `yaml:"record"`
	Alert       string            `yaml:"alert"`
	Expr        string            `yaml:"expr"`
	For         string            `yaml:"for"`
	Labels      map[string]string `yaml:"labels"`
	Annotations map[string]string `yaml:"annotations"`
}

// Rules reads all rule files of a folder, in the order of their names. An unknown field is an error.
func Rules(folder string) ([]Rule, error) {
	var all []Rule
	err := each(folder, "*.yaml", func(file string, content []byte) error {
		var read struct {
			Groups []struct {
				Name  string `yaml:"name"`
				Rules []Rule `yaml:"rules"`
			} `yaml:"groups"`
		}
		if err := strict(content, &read); err != nil {
			return err
		}
		for _, group := range read.Groups {
			for _, rule := range group.Rules {
				rule.File = file
				all = append(all, rule)
			}
		}
		return nil
	})
	return all, err
}

// Case tests one alert at one time.
type Case struct {
	Alert string
	Fires bool
}

// Cases reads the promtool tests in a folder.
func Cases(folder string) ([]Case, error) {
	var all []Case
	err := each(folder, "*.yaml", func(_ string, content []byte) error {
		var read struct {
			Tests []struct {
				Tests []struct {
					Alert    string `yaml:"alertname"`
					Expected []any  `yaml:"exp_alerts"`
				} `yaml:"alert_rule_test"`
			} `yaml:"tests"`
		}
		if err := yaml.Unmarshal(content, &read); err != nil {
			return err
		}
		for _, group := range read.Tests {
			for _, one := range group.Tests {
				all = append(all, Case{one.Alert, len(one.Expected) > 0})
			}
		}
		return nil
	})
	return all, err
}

// Panel is a panel of a dashboard's JSON.
type Panel struct {
	Type, Title, Description string
	Targets                  []struct{ Expr, LegendFormat string }
	FieldConfig              struct{ Defaults struct{ Unit string } }
	GridPos                  struct{ X, Y, W, H int }
}

// Dashboard has the checked fields of a dashboard's JSON.
type Dashboard struct {
	File, UID, Title string
	Tags             []string
	Panels           []Panel
}

// Dashboards reads all dashboards of a folder.
func Dashboards(folder string) ([]Dashboard, error) {
	var all []Dashboard
	err := each(folder, "*.json", func(file string, content []byte) error {
		d := Dashboard{File: file}
		if err := json.Unmarshal(content, &d); err != nil {
			return err
		}
		all = append(all, d)
		return nil
	})
	return all, err
}

func each(folder, pattern string, do func(file string, content []byte) error) error {
	files, err := filepath.Glob(filepath.Join(folder, pattern))
	if err != nil || len(files) == 0 {
		return fmt.Errorf("%s has no file that matches %s (%w)", folder, pattern, err)
	}
	for _, file := range files {
		content, err := os.ReadFile(file) //nolint:gosec // a file of this repository
		if err == nil {
			err = do(filepath.Base(file), content)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
	}
	return nil
}

func strict(content []byte, into any) error {
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	decoder.KnownFields(true)
	return decoder.Decode(into)
}
