// Go: commands run by goroutines, and one that a context ends.
package main

import (
	"context"
	"os/exec"
	"sync"
	"time"
)

func main() {
	var all sync.WaitGroup
	for i := 0; i < 30; i++ {
		all.Add(1)
		go func() {
			defer all.Done()
			if err := exec.Command("/bin/true").Run(); err != nil {
				panic(err)
			}
		}()
	}
	all.Wait()
	ends, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	exec.CommandContext(ends, "/bin/sleep", "60").Run()
}
