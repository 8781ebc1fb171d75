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

// maxSums bounds the size of a SHA256SUMS.
const maxSums = 1 << 20

type sum struct{ sum, name string }

// parseSums parses the output of sha256sum. Names must not leave the folder.
func parseSums(content string) ([]sum, error) {
	var sums []sum
	for line := range strings.Lines(content) {
		value, name, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "  ")
		if digest, err := hex.DecodeString(value); !ok || err != nil || len(digest) != 32 {
			return nil, fmt.Errorf("%.100q is not a line of sha256sum", line)
		}
		if !filepath.IsLocal(name) || filepath.Base(name) != name || name == "." {
			return nil, fmt.Errorf("%.100q is not a valid file name", name)
		}
		sums = append(sums, sum{value, name})
	}
	if len(sums) == 0 {
		return nil, errors.New("it is empty")
	}
	return sums, nil
}

func read(ctx context.Context, storage Storage, name string) (string, error) {
	file, err := storage.Open(ctx, name)
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
