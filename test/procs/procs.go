//go:build linux

// Package procs tells what processes cost: CPU time, resident memory, descriptors, as the kernel
// accounts for them.
package procs

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Usage is what one process, or a process and its descendants, took.
type Usage struct {
	// CPU is the time in user and kernel mode since the start, that of collected children included.
	CPU time.Duration
	// Resident is memory in bytes. Descendants that share pages count them each.
	Resident int64
	// Descriptors are open files and sockets.
	Descriptors int
	// Threads of the operating system.
	Threads int
}

// Plus adds two usages up.
func (u Usage) Plus(v Usage) Usage {
	return Usage{u.CPU + v.CPU, u.Resident + v.Resident, u.Descriptors + v.Descriptors, u.Threads + v.Threads}
}

// Of reads one process. The error is fs.ErrNotExist if there is none with that number.
func Of(pid int) (Usage, error) {
	s, err := readStat(pid)
	if err != nil {
		return Usage{}, err
	}
	return s.usage()
}

// Tree reads a process and its descendants, as PostgreSQL's with one process a connection.
func Tree(pid int) (Usage, error) {
	all, err := children()
	if err != nil {
		return Usage{}, err
	}
	root, err := readStat(pid)
	if err != nil {
		return Usage{}, err
	}
	sum, err := root.usage()
	if err != nil {
		return Usage{}, err
	}
	queue := all[pid]
	for len(queue) > 0 {
		next := queue[0]
		queue = append(queue[1:], all[next.pid]...)
		usage, err := next.usage()
		if errors.Is(err, fs.ErrNotExist) {
			continue // it ended meanwhile; its time is its parent's when that is read next
		}
		if err != nil {
			return Usage{}, err
		}
		sum = sum.Plus(usage)
	}
	return sum, nil
}

// Machine is the time that all processors together have worked since the start, and what the host took
// from them for others.
func Machine() (busy, stolen time.Duration, err error) {
	content, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, 0, fmt.Errorf("times of the processors: %w", err)
	}
	return parseMachine(content)
}

// parseMachine reads the first line of proc_stat(5): user, nice, system, idle, iowait, irq, softirq, steal.
func parseMachine(content []byte) (busy, stolen time.Duration, err error) {
	line, _, _ := bytes.Cut(content, []byte("\n"))
	fields := bytes.Fields(line)
	if len(fields) < 9 || string(fields[0]) != "cpu" {
		return 0, 0, fmt.Errorf("times of the processors are not as known: %q", line)
	}
	for i, field := range fields[1:9] {
		ticks, err := strconv.ParseInt(string(field), 10, 64)
		if err != nil {
			return 0, 0, fmt.Errorf("times of the processors: %w", err)
		}
		switch i {
		case 3, 4:
		case 7:
			stolen += time.Duration(ticks) * tick
		default:
			busy += time.Duration(ticks) * tick
		}
	}
	return busy, stolen, nil
}

// children are all processes by the number of their parent.
func children() (map[int][]stat, error) {
	names, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	all := map[int][]stat{}
	for _, name := range names {
		pid, err := strconv.Atoi(filepath.Base(name))
		if err != nil {
			continue
		}
		if s, err := readStat(pid); err == nil {
			all[s.parent] = append(all[s.parent], s)
		}
	}
	return all, nil
}

// stat is what /proc/<pid>/stat tells that is of use here.
type stat struct {
	pid, parent, threads int
	resident             int64 // bytes
	ticks, collected     int64 // its own time and its collected children's, in ticks of 10 ms
}

const tick = 10 * time.Millisecond // USER_HZ is 100 on all of Linux

func readStat(pid int) (stat, error) {
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if errors.Is(err, syscall.ESRCH) {
		err = fs.ErrNotExist
	}
	if err != nil {
		return stat{}, fmt.Errorf("process %d: %w", pid, err)
	}
	return parseStat(pid, content)
}

// parseStat reads proc_pid_stat(5). The name may hold blanks and brackets: what counts starts behind
// the last one.
func parseStat(pid int, content []byte) (stat, error) {
	_, rest, ok := bytes.Cut(content[max(0, bytes.LastIndexByte(content, ')')):], []byte(") "))
	fields := bytes.Fields(rest)
	if !ok || len(fields) < 22 {
		return stat{}, fmt.Errorf("process %d: its stat is not as known: %q", pid, content)
	}
	var numbers [22]int64
	for i, field := range fields[1:22] {
		n, err := strconv.ParseInt(string(field), 10, 64)
		if err != nil && i < 20 { // the address space may be larger
			return stat{}, fmt.Errorf("process %d: field %d of its stat: %w", pid, i+4, err)
		}
		numbers[i+4-3] = n
	}
	field := func(n int) int64 { return numbers[n-3] } // by its number in the manual, from 4 on
	return stat{
		pid: pid, parent: int(field(4)), threads: int(field(20)), resident: field(24) * int64(os.Getpagesize()),
		ticks: field(14) + field(15), collected: field(16) + field(17),
	}, nil
}

// usage looks up what is not in stat: the exact CPU time and the descriptors.
func (s stat) usage() (Usage, error) {
	u := Usage{CPU: time.Duration(s.ticks) * tick, Resident: s.resident, Threads: s.threads}
	// The process's CPU clock counts nanoseconds (clock_getcpuclockid(3)); a zombie has none.
	var exact unix.Timespec
	if err := unix.ClockGettime(int32(^s.pid<<3|2), &exact); err == nil { //nolint:gosec // a PID fits 29 bits
		u.CPU = time.Duration(exact.Nano())
	}
	u.CPU += time.Duration(s.collected) * tick
	files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", s.pid))
	if err != nil {
		return Usage{}, fmt.Errorf("process %d: descriptors: %w", s.pid, err)
	}
	u.Descriptors = len(files)
	return u, nil
}
