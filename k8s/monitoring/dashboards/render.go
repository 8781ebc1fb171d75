package main

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// schema is the schema version of Grafana 11.0. Newer versions of Grafana migrate the dashboards when they load them.
const schema = 39

type object = map[string]any

// source is the chosen Prometheus.
func source() object { return object{"type": "prometheus", "uid": "${datasource}"} }

// File returns the name of the dashboard's file.
func (d Dashboard) File() string { return d.name + ".json" }

// Render returns the dashboard's JSON for Grafana.
func (d Dashboard) Render() ([]byte, error) {
	var content bytes.Buffer
	encoder := json.NewEncoder(&content)
	encoder.SetEscapeHTML(false) // people read the files too
	encoder.SetIndent("", "  ")
	err := encoder.Encode(object{
		"uid": "parley-" + d.name, "title": "Parley / " + d.title, "description": d.about, "tags": []string{"parley"},
		"schemaVersion": schema, "version": 1, "editable": true, "graphTooltip": 1, "timezone": "browser",
		"refresh": "30s", "time": object{"from": "now-3h", "to": "now"},
		"templating": object{"list": variables()},
		"links": []object{{
			"type": "dashboards", "title": "Parley", "tags": []string{"parley"}, "asDropdown": false, "includeVars": true, "keepTime": true,
			"icon": "external link", "tooltip": "", "targetBlank": false,
		}},
		"annotations": object{"list": []object{{
			"name": "Alerts that page", "datasource": source(), "enable": true, "iconColor": "red", "titleFormat": "{{alertname}}",
			"expr": query{expr: `ALERTS{@, alertname=~"Parley.+", alertstate="firing", severity="page"}`}.text(),
		}}},
		"panels": d.panels(),
	})
	if err != nil {
		return nil, fmt.Errorf("dashboard %s: %w", d.name, err)
	}
	return content.Bytes(), nil
}

func variables() []object {
	choice := func(name, label, expr string) object {
		return object{
			"name": name, "label": label, "type": "query", "datasource": source(), "query": object{"query": expr, "refId": name}, "definition": expr,
			"refresh": 2, "sort": 1, "multi": true, "includeAll": true,
			"allValue": ".*", // also matches series without the label
			"current":  object{"text": "All", "value": "$__all"},
		}
	}
	return []object{
		{"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus", "current": object{"text": "default", "value": "default"}},
		choice("namespace", "Namespace", "label_values(parley_build_info, namespace)"),
		choice("release", "Release", `label_values(parley_build_info{namespace=~"$namespace"}, release)`),
	}
}

// panels lays out the rows, from top to bottom.
func (d Dashboard) panels() []object {
	var all []object
	id, y := 0, 0
	place := func(o object, x, width, height int) {
		id++
		o["id"] = id
		o["gridPos"] = object{"x": x, "y": y, "w": width, "h": height}
		all = append(all, o)
	}
	for _, r := range d.rows {
		place(object{"type": "row", "title": r.title, "collapsed": false, "panels": []object{}}, 0, whole, 1)
		y++
		x, tallest := 0, 0
		for _, p := range r.panels {
			if x+p.width > whole {
				x, y, tallest = 0, y+tallest, 0
			}
			place(p.render(), x, p.width, p.height)
			x += p.width
			tallest = max(tallest, p.height)
		}
		y += tallest
	}
	return all
}

func (p panel) render() object {
	targets := make([]object, len(p.queries))
	for i, one := range p.queries {
		targets[i] = object{
			"refId": string(rune('A' + i)), "datasource": source(), "editorMode": "code", "expr": one.text(), "legendFormat": one.legend,
			"range": p.kind != "table", "instant": p.kind == "table", "format": p.format(), "exemplar": p.kind == "timeseries" && p.unit == seconds,
		}
	}
	o := object{
		"type": p.kind, "title": p.title, "description": p.good, "datasource": source(), "targets": targets,
		"fieldConfig": object{"defaults": p.defaults(), "overrides": []object{}}, "options": p.options(),
	}
	if p.kind == "table" {
		o["transformations"] = []object{{"id": "filterFieldsByName", "options": object{"include": object{"names": p.columns}}}}
	}
	return o
}

func (p panel) format() string {
	switch p.kind {
	case "table", "heatmap":
		return p.kind
	}
	return "time_series"
}

func (p panel) defaults() object {
	defaults := object{"unit": p.unit}
	switch p.kind {
	case "timeseries":
		stacking := "none"
		if p.stacked {
			stacking = "normal"
		}
		defaults["min"] = 0
		defaults["color"] = object{"mode": "palette-classic"}
		defaults["custom"] = object{
			"drawStyle": "line", "lineWidth": 1, "fillOpacity": 10, "showPoints": "never", "spanNulls": false,
			"stacking": object{"mode": stacking, "group": "A"},
		}
	case "stat":
		steps := make([]object, len(p.steps))
		for i, s := range p.steps {
			steps[i] = object{"color": s.color, "value": s.from}
			if i == 0 {
				steps[i]["value"] = nil // from minus infinity
			}
		}
		defaults["color"] = object{"mode": "thresholds"}
		defaults["thresholds"] = object{"mode": "absolute", "steps": steps}
		defaults["noValue"] = "none"
	}
	return defaults
}

func (p panel) options() object {
	switch p.kind {
	case "stat":
		return object{
			"reduceOptions": object{"calcs": []string{"lastNotNull"}, "fields": "", "values": false},
			"colorMode":     "value", "graphMode": "area", "textMode": "auto", "justifyMode": "auto", "orientation": "auto",
			"wideLayout": true, "showPercentChange": false, "percentChangeColorMode": "standard",
		}
	case "heatmap":
		return object{
			"calculate": false, "cellGap": 1, "showValue": "never", "exemplars": object{"color": "red"},
			"color": object{"mode": "scheme", "scheme": "Oranges", "fill": "dark-orange", "steps": 64, "exponent": 0.5, "reverse": false},
			"yAxis": object{"unit": p.unit, "axisPlacement": "left"}, "rowsFrame": object{"layout": "auto"},
			"tooltip": object{"mode": "single", "yHistogram": true}, "legend": object{"show": true},
		}
	case "table":
		return object{"showHeader": true, "cellHeight": "sm", "frameIndex": 0}
	}
	return object{
		"legend":  object{"showLegend": true, "displayMode": "table", "placement": "bottom", "calcs": []string{"lastNotNull", "max"}},
		"tooltip": object{"mode": "multi", "sort": "desc"},
	}
}
