// Starts children in the two ways that Go has, and leaves them for half a second.
package main

import (
	"os/exec"
	"syscall"
	"time"
)

//go:noinline
func startTool() {
	exec.Command("/bin/true").Start()
}

//go:noinline
func forkExec() {
	syscall.ForkExec("/bin/true", []string{"true"}, nil)
}

func main() {
	time.Sleep(100 * time.Millisecond)
	startTool()
	done := make(chan bool)
	go func() {
		forkExec()
		done <- true
	}()
	<-done
	time.Sleep(500 * time.Millisecond)
}
