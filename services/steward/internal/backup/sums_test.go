package backup

import (
	"path/filepath"
	"strings"
	"testing"
)

// FuzzSums: whatever lies in a bucket, no name leads out of the folder that is fetched into.
func FuzzSums(f *testing.F) {
	hash := strings.Repeat("a1", 32)
	f.Add(hash + "  auth.dump\n" + hash + "  rooms.dump\n")
	f.Add(hash + "  ../auth.dump\n")
	f.Add(hash + "  /etc/passwd")
	f.Add(hash + "  .\n")
	f.Add(hash + " auth.dump\n")
	f.Fuzz(func(t *testing.T, content string) {
		sums, err := parseSums(content)
		if err != nil {
			return
		}
		if len(sums) == 0 {
			t.Error("nothing is a backup")
		}
		for _, s := range sums {
			if filepath.Dir(filepath.Join("/into", s.name)) != "/into" || len(s.sum) != 64 {
				t.Errorf("takes %q", s)
			}
		}
	})
}
