package relayattn

import (
	"runtime"

	"relayattn/internal/capi"
)

// AttendArgs are one layer of a step, for [Batch.Attend] and [Batch.AttendWorker]. T is the number of
// the step's new tokens, P its PaddedTokens; the heads, dims and dtypes are the layer's. Arguments can
// be used again for every step.
type AttendArgs struct {
	Q   View // [T + P, NumQHeads, HeadDimK] of QDType; the last P are not read
	Out View // [T + P, NumQHeads, HeadDimV] of OutDType; the last P become 0

	// K and V are what the new tokens' slots get: [T, NumKVHeads, HeadDimK] of KDType, and [T,
	// NumKVHeads, HeadDimV] of VDType. Rows of NewAbsentRow sequences are there, and not read.
	K, V View

	// LSE gets the log-sum-exps, [T + P, NumQHeads]; not given: not wanted. Strides are in floats: LSE
	// [t, h] is at t * LSETokenStride + h * LSEHeadStride; 0 and 0: dense, that is NumQHeads and 1.
	LSE                           Vector
	LSETokenStride, LSEHeadStride int

	Sinks  Vector // sink logits [NumQHeads], given if and only if the layer UsesSinks
	Slopes Vector // ALiBi slopes [NumQHeads], given if and only if the layer UsesALiBi

	SoftmaxScale float32 // 0: the layer's. Finite
	LogitSoftcap float32 // 0: the layer's. Finite, >= 0
}

// Attend is one layer of the open step: it puts K and V of the new tokens into their slots, then
// computes Out and LSE for every row. It allocates nothing and waits for no device; with GraphPlan it
// can be captured, and the graph replayed after later begins of this batch with the same arguments
// (addresses included).
//
// K and V must be given, but not for a layer that SharesKV, whose source must have been attended
// first in this step, and not if the step appends nothing. With Q and Out both not given it only
// appends, so that AttendWorker can follow. A layer may be attended any number of times in a step, in
// any order of layers; the same K and V again change nothing.
//
// Errors: [ErrState]: no open step. [ErrBusy]: another goroutine uses the batch. [ErrArgument]: no such
// layer, or never set; Q or Out is not given; K or V missing, or given though it must not be; sinks or
// slopes that the layer does not use, or missing ones that it does; a slice too short or of another
// element size; a stride, alignment, scale or soft-cap; a queue on the CPU.
func (b *Batch) Attend(layer int, a *AttendArgs, queue uintptr) error {
	if err := b.use("Attend"); err != nil {
		return err
	}
	defer b.mu.Unlock()
	return b.attend("Batch.Attend", layer, a, 0, 0, queue)
}

// AttendWorker is the attention of one layer by the caller's own goroutines, on CPU contexts only.
// Each of numWorkers goroutines calls it once per layer and step, with its own worker, 0 ..
// numWorkers - 1, and otherwise equal arguments; each draws work until none is left, and none waits
// for another. Out and LSE are complete when all calls have returned, which the caller's own barrier,
// a [sync.WaitGroup] for instance, finds out; only then may calls for another layer begin. A call for
// a layer whose work of this step is all drawn does nothing.
//
// K and V must not be given: they are in the pages already, by an Attend without Q and Out (or the
// layer SharesKV). No other method of the batch may run meanwhile.
//
// Errors: [ErrUnsupported]: not a CPU context. [ErrState]: no open step, or calls for another layer of
// the same group have not all returned. [ErrBusy]: another kind of call uses the batch. [ErrArgument]:
// worker or numWorkers is out of bounds, K and V are given, or as in Attend.
func (b *Batch) AttendWorker(layer int, a *AttendArgs, worker, numWorkers int) error {
	if b.bits() == 0 {
		return ErrClosed
	}
	if numWorkers < 1 {
		return badArgument("Batch.AttendWorker: numWorkers is %d; it must be at least 1", numWorkers)
	}
	if !b.mu.TryRLock() {
		return b.busy("AttendWorker")
	}
	defer b.mu.RUnlock()
	return b.attend("Batch.AttendWorker", layer, a, worker, numWorkers, 0)
}

func (b *Batch) attend(
	call string, layer int, a *AttendArgs, worker, numWorkers int, queue uintptr,
) error {
	if a == nil {
		return badArgument("%s: the arguments are nil", call)
	}
	if l := b.geometry.layer(layer); l != nil {
		if err := b.check(call, l, a); err != nil {
			return err
		}
	}
	c := capi.Attend{
		Q: a.Q.capi(), Out: a.Out.capi(), K: a.K.capi(), V: a.V.capi(),
		LSE:   a.LSE.capi(a.LSETokenStride, a.LSEHeadStride),
		Sinks: a.Sinks.capi(0, 0), Slopes: a.Slopes.capi(0, 0),
		SoftmaxScale: a.SoftmaxScale, LogitSoftcap: a.LogitSoftcap,
	}
	err := check(capi.BatchAttend(b.bits(), int64(layer), &c, int64(worker), int64(numWorkers), queue))
	runtime.KeepAlive(b)
	return err
}

// check refuses slices that do not fit the layer and the open step. Without an open step the library
// refuses the call, and touches no memory.
func (b *Batch) check(call string, l *layer, a *AttendArgs) error {
	on, rows := b.geometry.on, b.tokens+b.padded
	if err := a.Q.check(call, "Q", on, shape{rows, l.numQHeads, l.headDimK, l.q}); err != nil {
		return err
	}
	if err := a.Out.check(call, "Out", on, shape{rows, l.numQHeads, l.headDimV, l.out}); err != nil {
		return err
	}
	if err := a.K.check(call, "K", on, shape{b.tokens, l.numKVHeads, l.headDimK, l.k}); err != nil {
		return err
	}
	if err := a.V.check(call, "V", on, shape{b.tokens, l.numKVHeads, l.headDimV, l.v}); err != nil {
		return err
	}
	err := a.LSE.check(call, "LSE", on, rows, a.LSETokenStride, l.numQHeads, a.LSEHeadStride)
	if err != nil {
		return err
	}
	if err := a.Sinks.check(call, "Sinks", on, 1, 0, l.numQHeads, 0); err != nil {
		return err
	}
	return a.Slopes.check(call, "Slopes", on, 1, 0, l.numQHeads, 0)
}
