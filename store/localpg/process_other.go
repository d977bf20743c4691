//go:build !linux

package localpg

import "syscall"

// dieWithParent does nothing where the kernel offers nothing: the watchdog is
// enough.
func dieWithParent(*syscall.SysProcAttr, syscall.Signal) {}
