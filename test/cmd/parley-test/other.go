//go:build !linux

package main

type onLinux struct{}
