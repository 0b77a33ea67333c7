package relayattn

import (
	"runtime"
	"sync/atomic"
)

// Counts of the library are int64_t, and an int here.
const _ int = 1 << 62

// handle owns one handle of the library. The library answers stale handles with an error, so a call
// that races with Close needs no lock: it comes before, or fails with ErrClosed.
type handle struct {
	bits     atomic.Uintptr // 0 once closed
	release  func(uintptr)
	backstop runtime.Cleanup
}

// own gives a handle to object, of which h is a part: Close releases it, or else lost does when object
// is unreachable.
func own[T any](object *T, h *handle, bits uintptr, release, lost func(uintptr)) {
	h.bits.Store(bits)
	h.release = release
	h.backstop = runtime.AddCleanup(object, lost, bits)
}

func (h *handle) close() {
	if bits := h.bits.Swap(0); bits != 0 {
		h.backstop.Stop()
		h.release(bits)
	}
}

// optional is for arguments where nil means none: a closed object must not look like it.
func optional(bits uintptr, given bool, call, name string) (uintptr, error) {
	if given && bits == 0 {
		return 0, &Error{CodeHandle, call + ": " + name + " is closed"}
	}
	return bits, nil
}
