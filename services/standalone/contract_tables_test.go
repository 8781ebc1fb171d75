package main

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/parley-chat/parley/pkg/chat"
	"github.com/parley-chat/parley/pkg/operation"
	"github.com/parley-chat/parley/pkg/webapi"
	"github.com/parley-chat/parley/services/standalone/internal/contract"
)

var parameter = regexp.MustCompile(`:(\w+)`)

// Every route is described, and the reverse.
func TestRoutesAreDocumented(t *testing.T) {
	t.Parallel()
	s := serve(t, t.TempDir())
	page, described, mounted := isPage(t), map[string]bool{}, map[string]bool{}
	for _, o := range ask(t, s).operations {
		described[o.Method+" "+o.Path] = true
	}
	for _, route := range s.app.GetRoutes(true) {
		if route.Method != http.MethodHead && !page(route.Path) {
			mounted[route.Method+" "+parameter.ReplaceAllString(route.Path, "{$1}")] = true
		}
	}
	same(t, "routes", described, mounted)
}

// What only services may call is mounted nowhere but on their own listeners.
func TestInternalRoutesAreNotDocumented(t *testing.T) {
	t.Parallel()
	_, _, parts, err := assemble(t, t.Output(), t.Output(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer closeParts(t, parts)
	documents, err := apiDocs()
	if err != nil {
		t.Fatal(err)
	}
	internal := 0
	for _, part := range parts {
		listener, ok := part.Component.(*webapi.Server)
		if !ok || part.Name == "standalone" {
			continue
		}
		for _, route := range listener.App.GetRoutes(true) {
			if strings.HasPrefix(route.Path, "/internal/") {
				internal++
				if documents.At(contract.OpenAPI, "paths", route.Path) != nil {
					t.Errorf("%s is described", route.Path)
				}
			}
		}
	}
	if internal == 0 {
		t.Error("no internal route was found")
	}
}

// The enumerations of the documents are those of the code.
func TestEnumerationsAreTheCodes(t *testing.T) {
	t.Parallel()
	documents, err := apiDocs()
	if err != nil {
		t.Fatal(err)
	}
	codes, _ := documents.At(contract.OpenAPI, "components", "schemas", "ErrorCode", "enum").([]any)
	same(t, "error codes", set(codes...), set(constants(t, "../../pkg/chat/error.go", "Code")...))
	closes := set()
	for _, code := range documents.CloseCodes() {
		closes[code] = true
	}
	same(t, "close codes", closes, set(constants(t, "../../pkg/wire/close.go", "Close")...))
	commands := set()
	for _, command := range documents.Commands() {
		commands[command] = true
	}
	types := set(constants(t, "../../pkg/wire/wire.go", "Type")...)
	for _, o := range operation.All {
		types[string(o.Name)] = true
	}
	same(t, "commands", commands, types)

	for at, want := range map[string]int{
		"Body/maxLength":            chat.MaxBodyBytes,
		"Nonce/maxLength":           chat.MaxNonceBytes,
		"RoomName/maxLength":        chat.MaxRoomName,
		"RoomDescription/maxLength": chat.MaxRoomDescription,
		"UserName/maxLength":        chat.MaxUserName,
		"Seq/maximum":               chat.MaxSeq,
	} {
		path := append([]string{"components", "schemas"}, strings.Split(at, "/")...)
		if got := documents.At(contract.OpenAPI, path...); got != json.Number(strconv.Itoa(want)) {
			t.Errorf("%s is %v in the document and %d in the code", at, got, want)
		}
	}
}

// constants are the values of the constants of a file whose names begin with prefix.
func constants(t *testing.T, file, prefix string) (values []any) {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(parsed, func(node ast.Node) bool {
		spec, ok := node.(*ast.ValueSpec)
		if !ok || !strings.HasPrefix(spec.Names[0].Name, prefix) || len(spec.Values) != 1 {
			return true
		}
		if literal, ok := spec.Values[0].(*ast.BasicLit); ok {
			values = append(values, strings.Trim(literal.Value, `"`))
		}
		return true
	})
	return values
}

func set(values ...any) map[string]bool {
	all := map[string]bool{}
	for _, value := range values {
		all[fmt.Sprint(value)] = true
	}
	return all
}

func same(t *testing.T, what string, described, real map[string]bool) {
	t.Helper()
	if len(real) == 0 || !maps.Equal(described, real) {
		t.Errorf("%s:\n  described %v\n  real      %v", what, slices.Sorted(maps.Keys(described)), slices.Sorted(maps.Keys(real)))
	}
}
