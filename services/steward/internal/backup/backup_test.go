package backup_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parley-chat/parley/services/steward/internal/backup"
)

// places makes one of each kind of place, and tells how to harm a file in it.
func places(t *testing.T) map[string]func(*testing.T) (place backup.Storage, harm func(name string, change func([]byte) []byte)) {
	t.Helper()
	return map[string]func(*testing.T) (backup.Storage, func(string, func([]byte) []byte)){
		"folder": func(t *testing.T) (backup.Storage, func(string, func([]byte) []byte)) {
			t.Helper()
			folder := t.TempDir()
			return backup.Folder(folder), func(name string, change func([]byte) []byte) {
				path := filepath.Join(folder, name)
				content, err := os.ReadFile(path)
				if err == nil {
					if content = change(content); content == nil {
						err = os.Remove(path)
					} else {
						err = os.WriteFile(path, content, 0o600)
					}
				}
				if err != nil {
					t.Fatal(err)
				}
			}
		},
		"S3": func(t *testing.T) (backup.Storage, func(string, func([]byte) []byte)) {
			t.Helper()
			server := newFakeS3(t)
			return bucketAt(t, server, "s3://backups/parley/"), func(name string, change func([]byte) []byte) {
				server.mu.Lock()
				defer server.mu.Unlock()
				key := "parley/" + name
				if server.objects[key] = change(server.objects[key]); server.objects[key] == nil {
					delete(server.objects, key)
				}
			}
		},
	}
}

func bucketAt(t *testing.T, server *fakeS3, url string) *backup.S3 {
	t.Helper()
	place, err := backup.OpenS3(backup.Bucket{URL: url, Endpoint: server.url, Region: "here", PathStyle: true, Access: "key", Secret: "secret"})
	if err != nil {
		t.Fatal(err)
	}
	return place
}

// dumps are two files as pg_dump leaves them.
func dumps(t *testing.T, content string) []string {
	t.Helper()
	folder := t.TempDir()
	files := []string{filepath.Join(folder, "auth.dump"), filepath.Join(folder, "rooms.dump")}
	for _, file := range files {
		if err := os.WriteFile(file, []byte(filepath.Base(file)+content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return files
}

// day is a moment of one backup a day.
func day(n int) time.Time { return time.Date(2026, 11, n, 3, 4, 5, 6, time.UTC) }

func setNames(t *testing.T, place backup.Storage) []string {
	t.Helper()
	sets, err := backup.Sets(t.Context(), place)
	if err != nil {
		t.Fatal(err)
	}
	names := []string{}
	for _, set := range sets {
		name := set.Name[:8]
		if !set.Complete {
			name += " cut off"
		}
		names = append(names, name)
	}
	return names
}

func TestWhatIsKeptComesBack(t *testing.T) {
	for name, open := range places(t) {
		t.Run(name, func(t *testing.T) {
			place, _ := open(t)
			for n, content := range []string{"old", "new"} {
				if _, _, err := backup.Upload(t.Context(), place, dumps(t, content), day(n+1), 0); err != nil {
					t.Fatal(err)
				}
			}
			for wanted, content := range map[string]string{"": "new", "20261101T030405Z": "old"} {
				into := t.TempDir()
				set, err := backup.Download(t.Context(), place, wanted, into)
				if err != nil || len(set.Files) != 2 || set.Size() != int64(len("auth.dumprooms.dump")+2*len(content)) {
					t.Fatalf("fetched %v, %v", set, err)
				}
				for _, file := range []string{"auth.dump", "rooms.dump"} {
					if got, err := os.ReadFile(filepath.Join(into, file)); err != nil || string(got) != file+content {
						t.Errorf("%s of %q is %q, %v", file, wanted, got, err)
					}
				}
			}
			if _, err := backup.Download(t.Context(), place, "20261103T030405Z", t.TempDir()); err == nil || !strings.Contains(err.Error(), "there is no backup 20261103T030405Z") {
				t.Errorf("one that is not there: %v", err)
			}
		})
	}
}

func TestKeepsTheNewestComplete(t *testing.T) {
	for name, open := range places(t) {
		t.Run(name, func(t *testing.T) {
			place, harm := open(t)
			// Day 2 and day 4 were cut off.
			for n := range 5 {
				if _, _, err := backup.Upload(t.Context(), place, dumps(t, "x"), day(n+1), 0); err != nil {
					t.Fatal(err)
				}
			}
			for _, cut := range []string{"20261102T030405Z/SHA256SUMS", "20261104T030405Z/SHA256SUMS"} {
				harm(cut, func([]byte) []byte { return nil })
			}
			_, removed, err := backup.Upload(t.Context(), place, dumps(t, "x"), day(6), 3)
			if err != nil || len(removed) != 2 {
				t.Errorf("removed %v, %v", removed, err)
			}
			if got, want := setNames(t, place), []string{"20261103", "20261104 cut off", "20261105", "20261106"}; !slices.Equal(got, want) {
				t.Errorf("left %v, want %v", got, want)
			}
			_, removed, err = backup.Upload(t.Context(), place, dumps(t, "x"), day(7), 10)
			if err != nil || removed != nil {
				t.Errorf("with room for more it removed %v, %v", removed, err)
			}
			if _, removed, err = backup.Upload(t.Context(), place, dumps(t, "x"), day(8), 1); err != nil || len(removed) != 5 {
				t.Errorf("keeping one it removed %v, %v", removed, err)
			}
			if got := setNames(t, place); !slices.Equal(got, []string{"20261108"}) {
				t.Errorf("left %v", got)
			}
		})
	}
}

func TestDamageIsNotTakenForABackup(t *testing.T) {
	for name, open := range places(t) {
		t.Run(name, func(t *testing.T) {
			place, harm := open(t)
			for n := range 2 {
				if _, _, err := backup.Upload(t.Context(), place, dumps(t, "x"), day(n+1), 0); err != nil {
					t.Fatal(err)
				}
			}
			harm("20261102T030405Z/rooms.dump", func(content []byte) []byte { content[0] ^= 1; return content })
			into := t.TempDir()
			if _, err := backup.Download(t.Context(), place, "", into); err == nil || !strings.Contains(err.Error(), "rooms.dump is damaged") {
				t.Errorf("a changed bit: %v", err)
			}
			if _, err := os.Stat(filepath.Join(into, "rooms.dump")); err == nil {
				t.Error("the damaged file stands under its name")
			}
			harm("20261102T030405Z/SHA256SUMS", func([]byte) []byte { return nil })
			if set, err := backup.Download(t.Context(), place, "", t.TempDir()); err != nil || set.Name != "20261101T030405Z" {
				t.Errorf("with the newest cut off it fetched %v, %v", set.Name, err)
			}
			if _, err := backup.Download(t.Context(), place, "20261102T030405Z", t.TempDir()); err == nil || !strings.Contains(err.Error(), "incomplete") {
				t.Errorf("one that was cut off: %v", err)
			}
		})
	}
}

func TestWhatIsNoBackup(t *testing.T) {
	place := backup.Folder(t.TempDir())
	empty := filepath.Join(t.TempDir(), "auth.dump")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := backup.Upload(t.Context(), place, []string{empty}, day(1), 1); err == nil || !strings.Contains(err.Error(), "is empty") {
		t.Errorf("an empty dump: %v", err)
	}
	files := dumps(t, "x")
	if _, _, err := backup.Upload(t.Context(), place, []string{files[0], files[0]}, day(2), 1); err == nil || !strings.Contains(err.Error(), "two files") {
		t.Errorf("the same name twice: %v", err)
	}
	if _, _, err := backup.Upload(t.Context(), place, files, day(2), 1); err == nil || !strings.Contains(err.Error(), "already") {
		t.Errorf("the same moment twice: %v", err)
	}
	if _, err := backup.Download(t.Context(), place, "", t.TempDir()); err == nil || !strings.Contains(err.Error(), "no complete backup") {
		t.Errorf("nothing but halves: %v", err)
	}
	if _, _, err := backup.Upload(t.Context(), backup.Folder("/not/mounted"), files, day(3), 1); err == nil {
		t.Error("a folder that is not there is taken")
	}
}

func TestS3SaysWhatIsWrong(t *testing.T) {
	server := newFakeS3(t)
	// A server that loses the end and says that all is well.
	server.broken = func(stored []byte) []byte { return stored[:len(stored)-1] }
	_, _, err := backup.Upload(t.Context(), bucketAt(t, server, "s3://backups"), dumps(t, "x"), day(1), 1)
	if err == nil || !strings.Contains(err.Error(), "another process writes to this prefix") {
		t.Errorf("a server that loses something: %v", err)
	}
	if _, _, err = backup.Upload(t.Context(), bucketAt(t, server, "s3://nobody"), dumps(t, "x"), day(1), 1); err == nil || !strings.Contains(err.Error(), "create the bucket first") {
		t.Errorf("another bucket: %v", err)
	}
	server.refuse = "AccessDenied"
	if _, _, err = backup.Upload(t.Context(), bucketAt(t, server, "s3://backups"), dumps(t, "x"), day(1), 1); err == nil || !strings.Contains(err.Error(), "s3:PutObject") {
		t.Errorf("without rights: %v", err)
	}
	for _, b := range []backup.Bucket{
		{URL: "backups", Endpoint: server.url},
		{URL: "s3:///prefix", Endpoint: server.url},
		{URL: "s3://backups", Endpoint: "s3.example.org"},
		{URL: "s3://backups", Endpoint: server.url + "/path"},
		{URL: "s3://backups", Endpoint: server.url, Access: "key"},
		{URL: "s3://backups", Endpoint: server.url, CAFile: "/not/there"},
	} {
		if _, err := backup.OpenS3(b); err == nil {
			t.Errorf("%+v is taken", b)
		}
	}
}
