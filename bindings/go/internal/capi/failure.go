package capi

// #include "failure.h"
import "C"

import "unsafe"

// Take reads and frees what a call of this package returned: the status, 0 for success, and the
// text of the failure.
func Take(failure int64) (status int32, text string) {
	if failure == 0 {
		return 0, ""
	}
	f := *(**C.relayattn_failure)(unsafe.Pointer(&failure))
	status, text = int32(f.status), C.GoString(&f.text[0])
	C.relayattn_forget(f)
	return status, text
}

// StatusName is ra_status_name.
func StatusName(status int32) string {
	return C.GoString(C.ra_status_name(C.ra_status(status)))
}
