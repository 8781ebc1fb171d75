// Package kubetest is a small Kubernetes API server for tests. It stores the objects of one namespace, speaks TLS, and
// refuses Parley's calls where a real server would refuse them.
package kubetest

import (
	"encoding/json"
	"encoding/pem"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/parley-chat/parley/pkg/env"
	"github.com/parley-chat/parley/services/steward/internal/kube"
)

const (
	namespace = "chat"
	token     = "token-of-the-pod"
)

// Server is the API server.
type Server struct {
	// Refuse, if not nil, is called for each call. If it returns a status other than 0, the server refuses the call
	// with it. The server holds no lock meanwhile.
	Refuse func(r *http.Request) int

	folder string
	url    *url.URL

	mu      sync.Mutex
	version int
	objects map[string]map[string]any // by kind/name
	calls   []string
}

// New starts a server that ends with the test.
func New(t *testing.T) *Server {
	t.Helper()
	s := &Server{folder: t.TempDir(), objects: map[string]map[string]any{}}
	server := httptest.NewTLSServer(s)
	t.Cleanup(server.Close)
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	for name, content := range map[string]string{"namespace": namespace, "token": token + "\n", "ca.crt": string(ca)} {
		if err := os.WriteFile(filepath.Join(s.folder, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var err error
	if s.url, err = url.Parse(server.URL); err != nil {
		t.Fatal(err)
	}
	return s
}

// Client returns a client like that of a pod.
func (s *Server) Client(t *testing.T) *kube.Client {
	t.Helper()
	host, port, err := net.SplitHostPort(s.url.Host)
	if err != nil {
		t.Fatal(err)
	}
	variables := map[string]string{"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": port}
	client, err := kube.InCluster(env.New(func(name string) (string, bool) { v, ok := variables[name]; return v, ok }), s.folder)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// Put stores an object.
func (s *Server) Put(kind, name string, object map[string]any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.store(kind+"/"+name, name, object)
}

// Object returns an object, nil if there is none.
func (s *Server) Object(kind, name string) map[string]any {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.objects[kind+"/"+name]
}

// Calls returns the methods and paths of all calls that were not refused.
func (s *Server) Calls() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.calls...)
}

func (s *Server) store(key, name string, object map[string]any) {
	s.version++
	meta, ok := object["metadata"].(map[string]any)
	if !ok {
		meta = map[string]any{}
		object["metadata"] = meta
	}
	meta["name"], meta["resourceVersion"] = name, strconv.Itoa(s.version)
	s.objects[key] = object
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") != "Bearer "+token {
		refuse(w, http.StatusUnauthorized, "Unauthorized")
		return
	}
	if s.Refuse != nil {
		if status := s.Refuse(r); status != 0 {
			refuse(w, status, http.StatusText(status))
			return
		}
	}
	kind, name, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/api/v1/namespaces/"+namespace+"/"), "/")
	body, err := io.ReadAll(r.Body)
	if err != nil {
		refuse(w, http.StatusBadRequest, "BadRequest")
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, r.Method+" "+kind+"/"+name)
	switch {
	case r.Method == http.MethodGet && name == "":
		items := []any{}
		for key, object := range s.objects {
			if strings.HasPrefix(key, kind+"/") {
				items = append(items, object)
			}
		}
		answer(w, http.StatusOK, map[string]any{"items": items})
	case r.Method == http.MethodGet:
		s.read(w, kind+"/"+name)
	case r.Method == http.MethodPost:
		s.create(w, kind, body)
	case r.Method == http.MethodPatch && r.Header.Get("Content-Type") == "application/merge-patch+json":
		s.patch(w, kind+"/"+name, name, body)
	default:
		refuse(w, http.StatusMethodNotAllowed, "MethodNotAllowed")
	}
}

func (s *Server) read(w http.ResponseWriter, key string) {
	if s.objects[key] == nil {
		refuse(w, http.StatusNotFound, "NotFound")
		return
	}
	answer(w, http.StatusOK, s.objects[key])
}

func (s *Server) create(w http.ResponseWriter, kind string, body []byte) {
	var object struct {
		Metadata struct{ Name string }
	}
	var whole map[string]any
	if json.Unmarshal(body, &object) != nil || json.Unmarshal(body, &whole) != nil || object.Metadata.Name == "" {
		refuse(w, http.StatusBadRequest, "BadRequest")
		return
	}
	key := kind + "/" + object.Metadata.Name
	if s.objects[key] != nil {
		refuse(w, http.StatusConflict, "AlreadyExists")
		return
	}
	s.store(key, object.Metadata.Name, whole)
	answer(w, http.StatusCreated, whole)
}

func (s *Server) patch(w http.ResponseWriter, key, name string, body []byte) {
	existing := s.objects[key]
	var patch map[string]any
	if existing == nil || json.Unmarshal(body, &patch) != nil {
		refuse(w, http.StatusNotFound, "NotFound")
		return
	}
	if base := text(patch, "metadata", "resourceVersion"); base != "" && base != text(existing, "metadata", "resourceVersion") {
		refuse(w, http.StatusConflict, "Conflict")
		return
	}
	merged, _ := merge(existing, patch).(map[string]any)
	s.store(key, name, merged)
	answer(w, http.StatusOK, merged)
}

// merge applies a JSON merge patch (RFC 7396) to a copy of target.
func merge(target, patch any) any {
	changes, ok := patch.(map[string]any)
	if !ok {
		return patch
	}
	merged := map[string]any{}
	if old, ok := target.(map[string]any); ok {
		maps.Copy(merged, old)
	}
	for key, value := range changes {
		if value == nil {
			delete(merged, key)
		} else {
			merged[key] = merge(merged[key], value)
		}
	}
	return merged
}

func text(object map[string]any, path ...string) string {
	for _, key := range path[:len(path)-1] {
		object, _ = object[key].(map[string]any)
	}
	value, _ := object[path[len(path)-1]].(string)
	return value
}

func answer(w http.ResponseWriter, status int, object any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(object)
}

func refuse(w http.ResponseWriter, status int, reason string) {
	answer(w, status, map[string]any{"kind": "Status", "status": "Failure", "reason": reason, "message": "refused by the test: " + reason, "code": status})
}
