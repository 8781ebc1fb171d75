package localcluster

import "syscall"

// attached puts the child into a process group of its own, so that Ctrl-C reaches only us and we
// stop all in order, and has the kernel kill it should we die without having done so.
func attached(sys *syscall.SysProcAttr) *syscall.SysProcAttr {
	attr := syscall.SysProcAttr{}
	if sys != nil {
		attr = *sys
	}
	attr.Setpgid, attr.Pdeathsig = true, syscall.SIGKILL
	return &attr
}

// throughFolders lets a process without root's id pass through folders that are closed to it.
func throughFolders(attr *syscall.SysProcAttr) {
	const capDACOverride = 1
	attr.AmbientCaps = []uintptr{capDACOverride}
}
