package relayattn

import (
	"fmt"

	"relayattn/internal/capi"
)

// Error is what every failing call returns.
type Error struct {
	// Code says what kind of failure it is: decide by it.
	Code Code
	// Message names the function, the argument, its value and its bound. It is for people, and may
	// change between versions.
	Message string
}

// Error is the message, with the code's name.
func (e *Error) Error() string {
	if e.Message == "" {
		return "relayattn: " + e.Code.String()
	}
	return "relayattn: " + e.Message + " (" + e.Code.String() + ")"
}

// Is reports whether target is the Err variable of e's code, for [errors.Is].
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Message == "" && t.Code == e.Code
}

// What to compare errors with, by [errors.Is], and what to do about each.
var (
	// ErrArgument: a value out of its bounds. A mistake in the calling program.
	ErrArgument error = &Error{Code: CodeArgument}
	// ErrClosed: the object, or one that was passed, is closed or nil.
	ErrClosed error = &Error{Code: CodeHandle}
	// ErrState: the object is not in the state that this call needs: an open prefix is attached to,
	// a batch attends before it begins. Call in order.
	ErrState error = &Error{Code: CodeState}
	// ErrBusy: another goroutine uses the batch, or the sequence is in an open step. Try again when
	// that is over.
	ErrBusy error = &Error{Code: CodeBusy}
	// ErrUnsupported: legal, but not in this version or on this device. Do without.
	ErrUnsupported error = &Error{Code: CodeUnsupported}
	// ErrOutOfMemory: host or device memory ran out. Close something, or ask for less.
	ErrOutOfMemory error = &Error{Code: CodeMemory}
	// ErrOutOfPages: the cache has too few free pages. Close sequences or prefixes, or let requests
	// wait; ordinary under load.
	ErrOutOfPages error = &Error{Code: CodePages}
	// ErrNotRetained: a window layer has given back tokens that this would need. Keep more
	// (LayerOptions.Retain), or compute them again.
	ErrNotRetained error = &Error{Code: CodeNotRetained}
	// ErrDevice: the device, its driver or the plugin is missing or failed.
	ErrDevice error = &Error{Code: CodeDevice}
	// ErrInternal: a defect of the library. Please report it with the error's text.
	ErrInternal error = &Error{Code: CodeInternal}
)

// check makes an error of what a call of package capi returned.
func check(failure int64) error {
	if failure == 0 {
		return nil
	}
	code, message := capi.Take(failure)
	return &Error{Code(code), message}
}

func badArgument(format string, values ...any) error {
	return &Error{CodeArgument, fmt.Sprintf(format, values...)}
}
