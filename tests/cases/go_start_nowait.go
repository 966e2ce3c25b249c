// source: golang/go#52580, makew0rld/amfora#219, moby/moby#20893, gen2brain/beeep#29
// mechanism: exec.Command(..).Start() without Wait, real Go (from 1.23 on os.Process uses pidfd; the runtime probes pidfd with a child and a wait of its own
//            at the first start)
// truth: 8 started, 0 of them reaped, 8 left; verdict never_reaps for the program's own children; cause: it never calls Wait. The runtime's own pidfd probe
//        (1 waitid on itself, and 1 cloned+reaped child) is no credit to the program
package main

import ("fmt"; "os"; "os/exec"; "strconv"; "time")

func main() {
	for i := 0; i < 8; i++ { if err := exec.Command("/bin/true").Start(); err != nil { panic(err) } }
	fmt.Fprintf(os.Stderr, "TRUTH pid=%d left=8\n", os.Getpid())
	ms, _ := strconv.Atoi(os.Args[1])
	time.Sleep(time.Duration(ms) * time.Millisecond)
}
