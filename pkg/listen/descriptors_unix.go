//go:build unix

package listen

import "syscall"

// descriptors is how many files and connections this process may have open.
func descriptors() int {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return mostDescriptors
	}
	return int(min(uint64(limit.Cur), mostDescriptors)) //nolint:unconvert // signed on some systems
}
