package relayattn

import (
	"runtime"

	"relayattn/internal/capi"
)

// MergeArgs are for [Context.Merge]. A, B and Out are [NumTokens, NumHeads, HeadDim].
type MergeArgs struct {
	NumTokens int   // 0 .. 2^31 - 1
	NumHeads  int   // query heads, 1 .. 2^31 - 1
	HeadDim   int   // 1 .. 2^31 - 1; no multiple is asked for
	InDType   DType // of A and B
	OutDType  DType // of Out
	Base2     bool  // whether the LSEs are of base 2, as FlashInfer's are, and not natural logarithms

	A   View // first part: normalised, as attention gives it
	B   View // second part
	Out View // may be A or B itself (same memory, strides and dtype)

	// LSEs are [NumTokens, NumHeads] by the two strides, in floats; 0 and 0: dense.
	ALSE                          Vector
	BLSE                          Vector
	OutLSE                        Vector // not given: not wanted; may be ALSE or BLSE
	LSETokenStride, LSEHeadStride int
}

// Merge joins two parts of one attention, over keys that do not overlap, for engines that compute
// parts themselves or got them from another machine:
//
//	out = (e^alse * a + e^blse * b) / (e^alse + e^blse),   outlse = log(e^alse + e^blse)
//
// in float32. A part whose LSE is infinite is empty: its values are not read and may be NaN. If both
// are, out is 0 and outlse -Inf. Merge more parts one after the other.
//
// Errors: [ErrArgument]: a size, stride or alignment is out of bounds, memory other than OutLSE is not
// given though NumTokens is not 0, an unknown dtype, or a queue on the CPU. [ErrUnsupported]: an
// unserved dtype.
func (c *Context) Merge(a *MergeArgs, queue uintptr) error {
	if c == nil {
		return ErrClosed
	}
	if a == nil {
		return badArgument("Context.Merge: the arguments are nil")
	}
	if err := a.check(c.backend); err != nil {
		return err
	}
	m := capi.Merge{
		NumTokens: int64(a.NumTokens), NumHeads: int64(a.NumHeads), HeadDim: int64(a.HeadDim),
		InDType: int32(a.InDType), OutDType: int32(a.OutDType), LSEBase2: oneIf(a.Base2),
		A: a.A.capi(), B: a.B.capi(), Out: a.Out.capi(),
		ALSE: a.ALSE.capi(0, 0), BLSE: a.BLSE.capi(0, 0), OutLSE: a.OutLSE.capi(0, 0),
		LSETokenStride: int64(a.LSETokenStride), LSEHeadStride: int64(a.LSEHeadStride),
	}
	err := check(capi.MergeState(c.bits(), &m, queue))
	runtime.KeepAlive(c)
	return err
}

func (a *MergeArgs) check(on Backend) error {
	in := shape{a.NumTokens, a.NumHeads, a.HeadDim, a.InDType}
	out := in
	out.dtype = a.OutDType
	for _, v := range []struct {
		view  *View
		name  string
		shape shape
	}{{&a.A, "A", in}, {&a.B, "B", in}, {&a.Out, "Out", out}} {
		if err := v.view.check("Context.Merge", v.name, on, v.shape); err != nil {
			return err
		}
	}
	for _, v := range []struct {
		vector *Vector
		name   string
	}{{&a.ALSE, "ALSE"}, {&a.BLSE, "BLSE"}, {&a.OutLSE, "OutLSE"}} {
		err := v.vector.check("Context.Merge", v.name, on, a.NumTokens, a.LSETokenStride, a.NumHeads,
			a.LSEHeadStride)
		if err != nil {
			return err
		}
	}
	return nil
}
