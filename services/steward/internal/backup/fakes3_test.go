package backup_test

import (
	"bufio"
	"crypto/md5"
	"encoding/base64"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// fakeS3 is one bucket of an S3 server, as far as small files need it. It checks no signature.
type fakeS3 struct {
	url string

	mu      sync.Mutex
	objects map[string][]byte
	broken  func(stored []byte) []byte // what it makes of what it is given, nil: nothing
	refuse  string                     // the code of an error for all calls
}

const bucket = "backups"

func newFakeS3(t *testing.T) *fakeS3 {
	t.Helper()
	f := &fakeS3{objects: map[string][]byte{}}
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	f.url = server.URL
	return f
}

// ServeHTTP implements http.Handler.
func (f *fakeS3) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	key, ours := strings.CutPrefix(r.URL.Path, "/"+bucket+"/")
	switch {
	case f.refuse != "":
		fail(w, http.StatusForbidden, f.refuse)
	case !ours:
		fail(w, http.StatusNotFound, "NoSuchBucket")
	case r.Method == http.MethodPut:
		f.put(w, r, key)
	case r.Method == http.MethodDelete:
		delete(f.objects, key)
		w.WriteHeader(http.StatusNoContent)
	case key == "":
		f.list(w, r.URL.Query().Get("prefix"))
	default:
		content, ok := f.objects[key]
		if !ok {
			fail(w, http.StatusNotFound, "NoSuchKey")
			return
		}
		w.Header().Set("ETag", etag(content))
		w.Header().Set("Last-Modified", "Sun, 22 Nov 2026 03:04:05 GMT")
		w.Header().Set("Content-Length", strconv.Itoa(len(content)))
		if r.Method == http.MethodGet {
			_, _ = w.Write(content)
		}
	}
}

func (f *fakeS3) put(w http.ResponseWriter, r *http.Request, key string) {
	content, err := body(r)
	sum := md5.Sum(content)
	if err != nil || base64.StdEncoding.EncodeToString(sum[:]) != r.Header.Get("Content-Md5") {
		fail(w, http.StatusBadRequest, "BadDigest")
		return
	}
	w.Header().Set("ETag", etag(content))
	if f.broken != nil {
		content = f.broken(content)
	}
	f.objects[key] = content
}

// body reads what was put; over plain HTTP it comes in signed chunks.
func body(r *http.Request) ([]byte, error) {
	if !strings.HasPrefix(r.Header.Get("X-Amz-Content-Sha256"), "STREAMING-") {
		return io.ReadAll(r.Body)
	}
	reader := bufio.NewReader(r.Body)
	var content []byte
	for {
		line, err := reader.ReadString('\n')
		if err != nil {
			return nil, err
		}
		size, _, _ := strings.Cut(line, ";")
		n, err := strconv.ParseInt(size, 16, 32)
		if err != nil || n == 0 {
			return content, err
		}
		chunk := make([]byte, n+2) // and a line's end
		if _, err := io.ReadFull(reader, chunk); err != nil {
			return nil, err
		}
		content = append(content, chunk[:n]...)
	}
}

func (f *fakeS3) list(w http.ResponseWriter, prefix string) {
	type entry struct {
		Key  string
		Size int
	}
	var result struct {
		XMLName  xml.Name `xml:"ListBucketResult"`
		Contents []entry
	}
	for key, content := range f.objects {
		if strings.HasPrefix(key, prefix) {
			result.Contents = append(result.Contents, entry{key, len(content)})
		}
	}
	slices.SortFunc(result.Contents, func(a, b entry) int { return strings.Compare(a.Key, b.Key) })
	_ = xml.NewEncoder(w).Encode(result)
}

func etag(content []byte) string {
	sum := md5.Sum(content)
	return `"` + hex.EncodeToString(sum[:]) + `"`
}

func fail(w http.ResponseWriter, status int, code string) {
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, "<Error><Code>%s</Code><Message>said the test</Message></Error>", code)
}
