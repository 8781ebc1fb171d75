package kube_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/parley-chat/parley/services/steward/internal/kube"
	"github.com/parley-chat/parley/services/steward/internal/kubetest"
)

func TestDeleteWith(t *testing.T) {
	t.Parallel()
	server := kubetest.New(t)
	server.Put("serviceaccounts", "parley-check", map[string]any{"metadata": map[string]any{"uid": "one"}})
	server.Put("pods", "parley-check", map[string]any{})
	if err := kube.SetOwner(t.Context(), server.Client(t), "parley-check", "parley-check"); err != nil {
		t.Fatal(err)
	}
	metadata, _ := server.Object("pods", "parley-check")["metadata"].(map[string]any)
	owners, _ := metadata["ownerReferences"].([]any)
	if len(owners) != 1 {
		t.Fatalf("the pod has the owners %v", owners)
	}
	owner, _ := owners[0].(map[string]any)
	if owner["kind"] != "ServiceAccount" || owner["name"] != "parley-check" || owner["uid"] != "one" || owner["apiVersion"] != "v1" {
		t.Errorf("the pod's owner is %v", owner)
	}
	server.Refuse = func(*http.Request) int { return http.StatusForbidden }
	if err := kube.SetOwner(t.Context(), server.Client(t), "parley-check", "parley-check"); err == nil || !strings.Contains(err.Error(), "Role") {
		t.Errorf("without the right to read the account: %v", err)
	}
}
