package relayattn

import (
	"runtime"
	"sync"

	"relayattn/internal/capi"
)

// Batch is one step of many requests. It is made once and used for every step: Begin, then Attend
// for each layer, then Commit or Abort. What it learned and allocated for one step serves the next.
// Several batches of one cache may have open steps at once, with different sequences. A step may mix
// sequences that decode one token, prefill many, verify a draft, or sit out with none.
type Batch struct {
	handle   handle
	geometry *geometry
	mask     *pin

	// One goroutine writes, under mu; those of AttendWorker read. Nobody waits for it but Close.
	mu        sync.RWMutex
	tokens    int // of the open step; 0 without one
	padded    int
	dummy     bool
	sequences []uintptr // used again for every step
}

// pin holds a step's tree mask in its place, since the library reads it until the step ends.
type pin struct{ open, next runtime.Pinner }

// try pins the mask of a step that may come about; settle says whether it has.
func (p *pin) try(mask []byte) {
	if len(mask) > 0 {
		p.next.Pin(&mask[0])
	}
}

func (p *pin) settle(begun bool) {
	if begun {
		p.open, p.next = p.next, p.open
	}
	p.next.Unpin()
}

// BatchOptions are for [Cache.NewBatch] and [Cache.BatchMemory]. The zero value suits most callers.
//
// MaxRows and MaxTokens bound every step: a larger one is ErrArgument. A bound of 0 is no bound: the
// plan then begins with room for 64 sequences, and a Begin that needs more allocates it. All four
// bounds also size the plan. A batch with GraphPlan or with memory of the caller's cannot grow: set
// them, and a step that does not fit all the same is ErrArgument.
type BatchOptions struct {
	MaxRows     int // sequences of a step
	MaxTokens   int // new tokens of a step, padded ones included; 0 sizes for 4 a sequence
	MaxRuns     int // prefixes, forks and tails in the tree of a step; 0: 4 a sequence
	MaxKVTokens int // tokens in that tree, a shared one once; 0: the whole cache
	Mode        Mode
	Flags       PlanFlags

	// Scratch is device memory for parts of results, of any alignment and never Go memory; 0: the
	// batch's own. Batches whose attends never run at once may share it. ScratchSize is in bytes, at
	// least what BatchMemory says.
	Scratch     uintptr
	ScratchSize int

	// Metadata is device memory for the work list, of this batch alone; 0: its own.
	Metadata     uintptr
	MetadataSize int
}

// PlanInfo is what was planned for a layer group; see [Batch.Plan].
type PlanInfo struct {
	Launches    int // kernel launches of one attend; 1 for the CPU
	Items       int // work items, each computed for every KV head
	Runs        int // stretches of tokens in the step's tree, tails included
	RelayRuns   int // of these, how many are read once for all below them
	Partials    int // float32 parts of output rows that get merged
	KVBytes     int // K and V that one attend reads: a flat run once for each sequence
	PredictedNS int // the cost model's estimate for one attend
}

// BatchMemory is how many bytes of scratch and of metadata a batch with these options needs, for
// callers who give that memory themselves. Set the four bounds first: what they leave open is
// guessed.
//
// Errors: as [Cache.NewBatch], without those about memory.
func (k *Cache) BatchMemory(o BatchOptions) (scratch, metadata int, err error) {
	var n [2]int64
	err = check(capi.Batch_size(k.bits(), int64(o.MaxRows), int64(o.MaxTokens), int64(o.MaxRuns),
		int64(o.MaxKVTokens), int32(o.Mode), int32(o.Flags), &n[0], &n[1]))
	runtime.KeepAlive(k)
	return int(n[0]), int(n[1]), err
}

// NewBatch makes a batch for steps over sequences of the cache, and allocates its memory for the
// bounds of o. It keeps the cache alive. Make one for each kind of step: one for decoding with
// GraphPlan, say, and one for prefill without.
//
// Errors: [ErrArgument]: a bound is not from 0 to 2^31 - 1; an unknown mode or flag; memory is given
// and too small; GraphPlan without MaxRows and MaxTokens. [ErrUnsupported]: GraphPlan on a CPU context.
// [ErrOutOfMemory]: no room.
func (k *Cache) NewBatch(o BatchOptions) (*Batch, error) {
	var bits uintptr
	err := check(capi.Batch_make(k.bits(), int64(o.MaxRows), int64(o.MaxTokens), int64(o.MaxRuns),
		int64(o.MaxKVTokens), int32(o.Mode), int32(o.Flags), o.Scratch, int64(o.ScratchSize),
		o.Metadata, int64(o.MetadataSize), &bits))
	if err != nil {
		return nil, err
	}
	b := &Batch{geometry: k.geometry, mask: &pin{}}
	mask := b.mask
	own(b, &b.handle, bits, capi.Batch_release, func(bits uintptr) {
		capi.Batch_release(bits)
		mask.open.Unpin() // of a batch that was lost with its step open
	})
	return b, nil
}

// Close gives the batch up. An open step is aborted, and a warning logged. It waits for a call on
// another goroutine that uses the batch, returns nil, and does nothing a second time.
func (b *Batch) Close() error {
	if b != nil {
		b.handle.close()
		b.mu.Lock()
		b.end()
		b.mu.Unlock()
	}
	return nil
}

// end forgets the step that was open.
func (b *Batch) end() {
	b.mask.open.Unpin()
	b.tokens, b.padded, b.dummy = 0, 0, false
}

func (b *Batch) bits() uintptr {
	if b == nil {
		return 0
	}
	return b.handle.bits.Load()
}

// use begins a call that no other may run beside.
func (b *Batch) use(call string) error {
	if b.bits() == 0 {
		return &Error{CodeHandle, "Batch." + call + ": the batch is closed or nil"}
	}
	if !b.mu.TryLock() {
		return b.busy(call)
	}
	return nil
}

func (b *Batch) busy(call string) error {
	return &Error{CodeBusy, "Batch." + call + ": another goroutine uses the batch"}
}

// Abort ends the step as if it had never begun: its pages return, to be reused after the queue's
// work, and its sequences are as they were.
//
// Errors: [ErrState]: no open step. [ErrBusy]: another goroutine uses the batch. [ErrArgument]: a queue on
// the CPU.
func (b *Batch) Abort(queue uintptr) error {
	if err := b.use("Abort"); err != nil {
		return err
	}
	defer b.mu.Unlock()
	err := check(capi.Batch_abort(b.bits(), queue))
	if err == nil {
		b.end()
	}
	return err
}

// Commit ends the step and makes new tokens part of their sequences. kept nil: all of them. Else
// sequence i keeps kept[i] of its new tokens, 0 .. its QLens (0 with NewAbsentRow): those that index
// names, or with index nil the first ones. index holds, for one sequence after the other, the kept
// tokens' places among its new ones, ascending: an accepted path of a draft tree. Their K and V are
// moved together, in all layers, and the tokens get consecutive positions: give tree tokens the
// position embedding of their depth, not of their slot. Pages no longer needed, of rejected tokens
// and behind windows, are given back.
//
// Errors: [ErrState]: no open step. [ErrBusy]: another goroutine uses the batch. [ErrArgument]: a count or
// index is out of bounds, kept or index does not fit the step, index without kept, or a queue on the
// CPU. The step then stays open.
func (b *Batch) Commit(kept, index []int, queue uintptr) error {
	if err := b.use("Commit"); err != nil {
		return err
	}
	defer b.mu.Unlock()
	err := check(capi.BatchCommit(b.bits(), numbers(kept), int64(len(kept)), numbers(index),
		int64(len(index)), queue))
	if err == nil {
		b.end()
	}
	return err
}

// Plan tells what was planned for a layer group in the step that was begun last, dummy ones included,
// open or ended.
//
// Errors: [ErrState]: no step was ever begun. [ErrBusy]: another goroutine uses the batch. [ErrArgument]:
// no such group.
func (b *Batch) Plan(group int) (PlanInfo, error) {
	if err := b.use("Plan"); err != nil {
		return PlanInfo{}, err
	}
	defer b.mu.Unlock()
	var v [7]int64
	if err := check(capi.Batch_info(b.bits(), int64(group), &v[0])); err != nil {
		return PlanInfo{}, err
	}
	return PlanInfo{
		Launches: int(v[0]), Items: int(v[1]), Runs: int(v[2]), RelayRuns: int(v[3]),
		Partials: int(v[4]), KVBytes: int(v[5]), PredictedNS: int(v[6]),
	}, nil
}
