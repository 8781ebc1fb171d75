//go:build chart

package chart

import (
	"fmt"
	"slices"
	"testing"
)

// object is one Kubernetes object, or a part of one.
type object map[string]any

type objects []object

// at follows names down into the object; nil if there is nothing.
func (o object) at(path ...string) any {
	var value any = map[string]any(o)
	for _, name := range path {
		fields, _ := value.(map[string]any)
		value = fields[name]
	}
	return value
}

// in is at for an object, empty if there is none.
func (o object) in(path ...string) object {
	fields, _ := o.at(path...).(map[string]any)
	return fields
}

// list is at for a list of objects.
func (o object) list(path ...string) objects {
	items, _ := o.at(path...).([]any)
	var all objects
	for _, item := range items {
		fields, _ := item.(map[string]any)
		all = append(all, fields)
	}
	return all
}

func (o object) text(path ...string) string {
	text, _ := o.at(path...).(string)
	return text
}

func (o object) number(path ...string) int {
	number, _ := o.at(path...).(int)
	return number
}

// words is at for a list of strings.
func (o object) words(path ...string) []string {
	items, _ := o.at(path...).([]any)
	var all []string
	for _, item := range items {
		all = append(all, fmt.Sprint(item))
	}
	return all
}

func (o object) kind() string { return o.text("kind") }
func (o object) name() string { return o.text("metadata", "name") }

// String names it in messages; all is what is in it.
func (o object) String() string {
	if o.kind() == "" {
		return o.all()
	}
	return o.kind() + "/" + o.name()
}

func (o object) all() string { return fmt.Sprint(map[string]any(o)) }

// strings is at for a map of strings, such as labels.
func (o object) strings(path ...string) map[string]string {
	all := map[string]string{}
	for key := range o.in(path...) {
		all[key] = o.in(path...).text(key)
	}
	return all
}

func (all objects) ofKind(kinds ...string) objects {
	return slices.DeleteFunc(slices.Clone(all), func(o object) bool { return !slices.Contains(kinds, o.kind()) })
}

// find returns the one object of that kind and name.
func (all objects) find(t *testing.T, kind, name string) object {
	t.Helper()
	for _, o := range all.ofKind(kind) {
		if o.name() == name {
			return o
		}
	}
	t.Fatalf("there is no %s %s", kind, name)
	return nil
}

func (all objects) has(kind, name string) bool {
	return slices.ContainsFunc(all.ofKind(kind), func(o object) bool { return o.name() == name })
}

// pod is what an object makes pods of.
type pod struct {
	owner  object
	labels map[string]string
	spec   object
}

// pods are the templates of all pods.
func (all objects) pods() []pod {
	var pods []pod
	for _, o := range all {
		template := o
		switch o.kind() {
		case "Deployment", "StatefulSet", "Job":
			template = o.in("spec", "template")
		case "CronJob":
			template = o.in("spec", "jobTemplate", "spec", "template")
		case "Pod":
		default:
			continue
		}
		pods = append(pods, pod{owner: o, labels: template.strings("metadata", "labels"), spec: template.in("spec")})
	}
	return pods
}

// component is the pod of that label.
func (all objects) component(t *testing.T, name string) pod {
	t.Helper()
	for _, p := range all.pods() {
		if p.labels["app.kubernetes.io/component"] == name {
			return p
		}
	}
	t.Fatalf("there is no pod of component %s", name)
	return pod{}
}

// containers are those that the chart makes; what initContainers and sidecars in values add are the operator's own.
func (p pod) containers() objects {
	return slices.DeleteFunc(append(p.spec.list("initContainers"), p.spec.list("containers")...), func(c object) bool {
		return c.text("name") == "before" || c.text("name") == "beside"
	})
}

// env is the value of a variable of the first container; "from" if it comes from elsewhere.
func (p pod) env(name string) string {
	for _, e := range p.spec.list("containers")[0].list("env") {
		if e.text("name") == name {
			if e.at("valueFrom") != nil {
				return "from"
			}
			return e.text("value")
		}
	}
	return ""
}

// selects says whether a label selector's matchLabels find these labels.
func selects(selector, labels map[string]string) bool {
	for key, value := range selector {
		if labels[key] != value {
			return false
		}
	}
	return true
}
