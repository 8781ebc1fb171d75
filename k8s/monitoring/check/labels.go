// Package check checks that the queries of the rules and the dashboards only use metrics and labels that exist. It also
// checks the labels in the texts of alerts and in the legends of graphs.
package check

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/promql/parser"
)

// Set is a set of label names.
type Set map[string]bool

func setOf(names ...string) Set {
	s := Set{}
	for _, name := range names {
		s[name] = true
	}
	return s
}

func (s Set) and(other Set) Set {
	both := maps.Clone(s)
	maps.Copy(both, other)
	return both
}

func (s Set) without(names ...string) Set {
	rest := maps.Clone(s)
	for _, name := range names {
		delete(rest, name)
	}
	return rest
}

// String lists the names.
func (s Set) String() string { return strings.Join(slices.Sorted(maps.Keys(s)), ", ") }

// Parse parses PromQL.
func Parse(query string) (parser.Expr, error) {
	return parser.NewParser(parser.Options{}).ParseExpr(query)
}

// Labels returns the label names that the result of a query may have. The error says which metric or label does not
// exist.
func (c Catalogue) Labels(e parser.Expr) (Set, error) {
	switch e := e.(type) {
	case *parser.VectorSelector:
		return c.selector(e)
	case *parser.MatrixSelector:
		return c.Labels(e.VectorSelector)
	case *parser.SubqueryExpr:
		return c.Labels(e.Expr)
	case *parser.ParenExpr:
		return c.Labels(e.Expr)
	case *parser.UnaryExpr:
		return c.Labels(e.Expr)
	case *parser.StepInvariantExpr:
		return c.Labels(e.Expr)
	case *parser.Call:
		return c.call(e)
	case *parser.AggregateExpr:
		return c.aggregate(e)
	case *parser.BinaryExpr:
		return c.binary(e)
	case *parser.NumberLiteral, *parser.StringLiteral:
		return Set{}, nil
	}
	return nil, fmt.Errorf("this check does not support %T", e)
}

func (c Catalogue) selector(e *parser.VectorSelector) (Set, error) {
	known, ok := c.labels[e.Name]
	if !ok {
		return nil, fmt.Errorf("there is no metric %q", e.Name)
	}
	for _, m := range e.LabelMatchers {
		if m.Name == model.MetricNameLabel {
			continue
		}
		if !known[m.Name] {
			return nil, fmt.Errorf("%s has no label %q, only %s", e.Name, m.Name, known)
		}
		values := c.values[e.Name][m.Name]
		if len(values) > 0 && !slices.ContainsFunc(values, m.Matches) {
			return nil, fmt.Errorf("%s: no %s has such a value, the values are %s", e, m.Name, strings.Join(values, ", "))
		}
	}
	return known, nil
}

func (c Catalogue) call(e *parser.Call) (Set, error) {
	all := Set{}
	for _, arg := range e.Args {
		inner, err := c.Labels(arg)
		if err != nil {
			return nil, err
		}
		all = all.and(inner)
	}
	if e.Func.Name == "histogram_quantile" {
		if !all["le"] {
			return nil, fmt.Errorf("%s: the label le is missing", e)
		}
		return all.without("le"), nil
	}
	return all, nil
}

func (c Catalogue) aggregate(e *parser.AggregateExpr) (Set, error) {
	inner, err := c.Labels(e.Expr)
	if err != nil {
		return nil, err
	}
	for _, name := range e.Grouping {
		if !inner[name] {
			return nil, fmt.Errorf("%s: there is no label %q to aggregate by; there are only %s", e, name, inner)
		}
	}
	if e.Without {
		return inner.without(e.Grouping...), nil
	}
	return setOf(e.Grouping...), nil
}

func (c Catalogue) binary(e *parser.BinaryExpr) (Set, error) {
	left, err := c.Labels(e.LHS)
	if err != nil {
		return nil, err
	}
	right, err := c.Labels(e.RHS)
	if err != nil {
		return nil, err
	}
	match := e.VectorMatching
	if match == nil { // one side is a number
		return left.and(right), nil
	}
	for _, name := range match.MatchingLabels {
		if match.On && (!left[name] || !right[name]) {
			return nil, fmt.Errorf("%s: only one side has the label %q: %s; %s", e, name, left, right)
		}
	}
	switch {
	case e.Op == parser.LOR:
		return left.and(right), nil
	case e.Op.IsSetOperator():
		return left, nil
	case match.Card == parser.CardManyToOne:
		return left.and(setOf(match.Include...)), nil
	case match.Card == parser.CardOneToMany:
		return right.and(setOf(match.Include...)), nil
	case match.On:
		return setOf(match.MatchingLabels...), nil
	case !maps.Equal(left, right) && len(match.MatchingLabels) == 0:
		return nil, fmt.Errorf("%s: the sides never match: %s; %s", e, left, right)
	}
	return left.without(match.MatchingLabels...), nil
}
