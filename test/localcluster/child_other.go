//go:build !linux

package localcluster

import "syscall"

// attached puts the child into a process group of its own, so that Ctrl-C reaches only us and we
// stop all in order.
func attached(sys *syscall.SysProcAttr) *syscall.SysProcAttr {
	attr := syscall.SysProcAttr{}
	if sys != nil {
		attr = *sys
	}
	attr.Setpgid = true
	return &attr
}

// throughFolders exists on Linux only.
func throughFolders(*syscall.SysProcAttr) {}
