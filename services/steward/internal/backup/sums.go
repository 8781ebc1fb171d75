package backup

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
)

// maxSums bounds what is read of a SHA256SUMS.
const maxSums = 1 << 20

type sum struct{ sum, name string }

// parseSums reads what sha256sum writes. A name must be one of a file in the same folder.
func parseSums(content string) ([]sum, error) {
	var sums []sum
	for line := range strings.Lines(content) {
		value, name, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "  ")
		if digest, err := hex.DecodeString(value); !ok || err != nil || len(digest) != 32 {
			return nil, fmt.Errorf("%.100q is no line of a checksum", line)
		}
		if !filepath.IsLocal(name) || filepath.Base(name) != name || name == "." {
			return nil, fmt.Errorf("%.100q is no name of a file", name)
		}
		sums = append(sums, sum{value, name})
	}
	if len(sums) == 0 {
		return nil, errors.New("it is empty")
	}
	return sums, nil
}

func read(ctx context.Context, place Place, name string) (string, error) {
	file, err := place.Open(ctx, name)
	if err != nil {
		return "", err
	}
	defer func() { _ = file.Close() }()
	content, err := io.ReadAll(io.LimitReader(file, maxSums))
	if err != nil {
		return "", fmt.Errorf("read %s: %w", name, err)
	}
	return string(content), nil
}
