package relayattn_test

import (
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"relayattn"
)

func TestLogLinesArrive(t *testing.T) {
	var mu sync.Mutex
	var lines, warnings []string
	take := func(to *[]string) func(bool, string) {
		return func(warning bool, line string) {
			mu.Lock()
			defer mu.Unlock()
			*to = append(*to, line)
			if warning {
				warnings = append(warnings, line)
			}
		}
	}
	c := newContext(t)
	check(t, c.SetLog(take(&lines)))
	if len(lines) != 1 || strings.Contains(lines[0], "\n") {
		t.Fatalf("the lines are %q", lines)
	}
	k := get(c.NewCache(newModel(t, small), relayattn.CacheOptions{CapacityTokens: 16}))(t)
	warn := func() {
		t.Helper()
		b := get(k.NewBatch(relayattn.BatchOptions{}))(t)
		check(t, b.BeginDummy(1, 1, 1, 0), b.Close())
	}
	warn()
	if len(lines) != 2 || len(warnings) != 1 {
		t.Errorf("the lines are %q, the warnings %q", lines, warnings)
	}
	var later []string
	check(t, c.SetLog(take(&later)))
	warn()
	if len(lines) != 2 || len(later) != 2 {
		t.Errorf("the former receiver got %q, the latter %q", lines[2:], later)
	}
	check(t, c.SetLog(nil))
	warn()
	if len(later) != 2 {
		t.Errorf("the log was off, and got %q", later[2:])
	}
	check(t, c.SetLog(take(&later)), c.Close())
	warn() // the cache keeps the device alive
	if len(later) != 3 {
		t.Errorf("the context was closed, and its log got %q", later[3:])
	}
}

func TestTheReceiverOfALostContextIsCollected(t *testing.T) {
	collected := make(chan struct{})
	func() {
		c := get(relayattn.NewContext(relayattn.ContextOptions{Backend: relayattn.CPUBackend, NumThreads: 1}))(t)
		lines := new([]string)
		runtime.AddCleanup(lines, func(done chan struct{}) { close(done) }, collected)
		check(t, c.SetLog(func(_ bool, line string) { *lines = append(*lines, line) }))
	}()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		runtime.GC()
		select {
		case <-collected:
			return
		default:
		}
	}
	t.Error("the receiver is still there")
}
