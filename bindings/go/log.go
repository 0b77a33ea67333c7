package relayattn

/*
#include <relayattn/relayattn.h>
#include "internal/capi/failure.h"

extern void relayattnLog(uintptr_t, int32_t, char*);

static inline void relayattn_log(void* user, int32_t level, const char* text) {
	relayattnLog((uintptr_t)user, level, (char*)text);
}

static inline const relayattn_failure* set_log(uintptr_t c, uintptr_t receiver) {
	return relayattn_fail(ra_context_set_log(
		(ra_context)c, receiver != 0 ? relayattn_log : NULL, (void*)receiver));
}
*/
import "C"

import (
	"runtime"
	"runtime/cgo"
	"sync"
	"unsafe"
)

// logger is the receiver that a context has now.
type logger struct {
	mu       sync.Mutex
	receiver cgo.Handle // 0: none
}

//export relayattnLog
func relayattnLog(user C.uintptr_t, level C.int32_t, text *C.char) {
	cgo.Handle(user).Value().(func(bool, string))(level != 0, C.GoString(text))
}

// SetLog sends the context's log lines to log, one call at a time; nil turns them off, which is the
// default. One line that describes the device comes at once; warning marks what is more than
// information. When SetLog returns, the former receiver is not running and will not be called again.
// Nothing is logged per step. log is called by any goroutine inside any call that uses the context,
// and must neither call this package nor panic. It is kept as long as the context: one that refers to
// the context keeps it from being closed by the garbage collector.
func (c *Context) SetLog(log func(warning bool, line string)) error {
	if c == nil {
		return ErrClosed
	}
	c.log.mu.Lock()
	defer c.log.mu.Unlock()
	err := c.log.set(c.bits(), log)
	runtime.KeepAlive(c)
	return err
}

func (l *logger) set(c uintptr, log func(bool, string)) error {
	var receiver cgo.Handle
	if log != nil {
		receiver = cgo.NewHandle(log)
	}
	failure := C.set_log(C.uintptr_t(c), C.uintptr_t(receiver))
	if err := check(int64(uintptr(unsafe.Pointer(failure)))); err != nil {
		if receiver != 0 {
			receiver.Delete()
		}
		return err
	}
	if l.receiver != 0 {
		l.receiver.Delete()
	}
	l.receiver = receiver
	return nil
}

// close comes before the context's release: its receiver has then been called for the last time.
func (l *logger) close(c uintptr) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.receiver != 0 {
		l.set(c, nil)
	}
}
