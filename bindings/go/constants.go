package relayattn

/*
#cgo pkg-config: relayattn
#include <relayattn/relayattn.h>

#if RA_VERSION < 100
#error "this package needs relayattn 0.1.0 or newer"
#endif
*/
import "C"

import (
	"strconv"

	"relayattn/internal/capi"
)

// HeaderVersion is the version of the C header that this program was built with:
// 10000 * major + 100 * minor + patch. The library's must not be lower.
const HeaderVersion = C.RA_VERSION

// Version is the version of the library that is loaded, as [HeaderVersion] is of its header.
func Version() int { return int(capi.Version()) }

// Backend says where a context computes.
type Backend int32

// Backends.
const (
	AnyBackend  Backend = C.RA_BACKEND_AUTO // CUDA if its plugin and a GPU are there, else the CPU
	CPUBackend  Backend = C.RA_BACKEND_CPU
	CUDABackend Backend = C.RA_BACKEND_CUDA // needs librelayattn-cuda.so and an NVIDIA GPU
)

// String is "any", "cpu" or "cuda".
func (b Backend) String() string { return named("Backend", int64(b), "any", "cpu", "cuda") }

// DType is an element type.
type DType int32

// Element types. Queries, K with V, and outputs may each have any of them.
const (
	F32  DType = C.RA_F32  // float32
	F16  DType = C.RA_F16  // IEEE binary16, its bits in a uint16
	BF16 DType = C.RA_BF16 // the upper half of a float32, in a uint16
)

// String is "f32", "f16" or "bf16", and "default" for 0.
func (d DType) String() string { return named("DType", int64(d), "default", "f32", "f16", "bf16") }

// size is that of an element in bytes, 0 for a dtype that this version does not serve.
func (d DType) size() int {
	switch d {
	case F32:
		return 4
	case F16, BF16:
		return 2
	}
	return 0
}

// WindowKind says which keys a query sees to its left.
type WindowKind int32

// Windows.
const (
	NoWindow      WindowKind = C.RA_WINDOW_NONE    // all
	SlidingWindow WindowKind = C.RA_WINDOW_SLIDING // the last LayerOptions.Window, its own included
	ChunkedWindow WindowKind = C.RA_WINDOW_CHUNKED // those of its own chunk of Window positions
)

// Mode says how a batch treats runs of tokens that several of its sequences share.
type Mode int32

// Modes.
const (
	AutoMode  Mode = C.RA_MODE_AUTO  // the cost model chooses for each run: the right one
	FlatMode  Mode = C.RA_MODE_FLAT  // read a shared run once for each sequence
	RelayMode Mode = C.RA_MODE_RELAY // read a shared run once for all of them
)

// PlanFlags are bits that say what a batch is for.
type PlanFlags int32

// Bits of PlanFlags.
const (
	// GraphPlan lets attend be captured in a CUDA graph and replayed in later steps. CUDA only;
	// needs MaxRows and MaxTokens.
	GraphPlan PlanFlags = C.RA_PLAN_GRAPH
	// BatchInvariantPlan gives a sequence the same output bits in any batch. Slower.
	BatchInvariantPlan PlanFlags = C.RA_PLAN_BATCH_INVARIANT
	// TreePlan allows steps with a tree mask.
	TreePlan PlanFlags = C.RA_PLAN_TREE
)

// RowFlags are bits that change what one sequence's new tokens see.
type RowFlags int64

// Bits of RowFlags.
const (
	// NoncausalRow lets the sequence's new tokens all see each other.
	NoncausalRow RowFlags = C.RA_ROW_NONCAUSAL
	// NewAbsentRow makes the new tokens queries only: no K or V of theirs is seen or kept. For
	// cross-attention, and for asking again about what is cached.
	NewAbsentRow RowFlags = C.RA_ROW_NEW_ABSENT
)

// ISA is an instruction set of the CPU.
type ISA int64

// Instruction sets.
const (
	ScalarISA ISA = C.RA_ISA_SCALAR // portable; also what every CUDA context answers
	AVX2ISA   ISA = C.RA_ISA_AVX2   // with FMA and F16C
	AVX512ISA ISA = C.RA_ISA_AVX512 // F, BW, VL and DQ
)

// String is the name that RELAYATTN_ISA in the environment takes: "scalar", "avx2", "avx512" and so on.
func (i ISA) String() string {
	return named("ISA", int64(i), "scalar", "avx2", "avx512", "avx512_bf16", "amx", "neon")
}

// named is the i-th name, or says that there is none.
func named(kind string, i int64, names ...string) string {
	if i >= 0 && i < int64(len(names)) {
		return names[i]
	}
	return kind + "(" + strconv.FormatInt(i, 10) + ")"
}

// Code is the kind of an [Error], an ra_status of the C header.
type Code int32

// Codes; each has an Err variable that says more.
const (
	CodeArgument    Code = C.RA_ERROR_ARGUMENT
	CodeHandle      Code = C.RA_ERROR_HANDLE
	CodeState       Code = C.RA_ERROR_STATE
	CodeBusy        Code = C.RA_ERROR_BUSY
	CodeUnsupported Code = C.RA_ERROR_UNSUPPORTED
	CodeMemory      Code = C.RA_ERROR_MEMORY
	CodePages       Code = C.RA_ERROR_PAGES
	CodeNotRetained Code = C.RA_ERROR_NOT_RETAINED
	CodeDevice      Code = C.RA_ERROR_DEVICE
	CodeInternal    Code = C.RA_ERROR_INTERNAL
)

// String is the name that the C header gives the code, "RA_ERROR_PAGES" for instance.
func (c Code) String() string { return capi.StatusName(int32(c)) }
