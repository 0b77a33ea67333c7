package relayattn

import (
	"math"
	"runtime"
	"unsafe"

	"relayattn/internal/capi"
)

// BatchInput is one step, for [Batch.Begin] and [Batch.PagesNeeded]. It is read before the call
// returns, and may then change; only the tree mask must stay as it is until the step's last attend is
// done.
type BatchInput struct {
	Sequences []*Sequence // of the batch's cache, none twice, none in an open step; or none at all
	QLens     []int       // new tokens of each sequence, 0 or more
	RowFlags  []RowFlags  // for each sequence; nil: none has any

	// TreeMask says which new tokens see which, for verifying a tree of drafts: new token t of the
	// step, counted over all sequences, has the TreeStride bytes from t * TreeStride on; bit j % 8 of
	// byte j / 8 lets it see new token j of its own sequence. Set its own bit, too. Earlier tokens
	// stay visible. Nil: causal order. The slice is held in place until the step ends.
	TreeMask   []byte
	TreeMaskAt uintptr // on CUDA, instead of TreeMask: the mask's address in device memory
	TreeStride int     // bytes, at least an eighth of the longest q_len, rounded up

	Spans        []Span // new tokens that see each other both ways; not together with a tree mask
	PaddedTokens int    // rows of q and out after the real ones, zeroed, for tensors of a fixed shape
}

// Span lets new tokens Begin .. End - 1 of sequence Row see each other both ways, as parts of an image
// do. Spans of a row do not overlap, and its RowFlags are 0.
type Span struct{ Row, Begin, End int }

// Begin begins a step: it takes pages for all new tokens, copies partial pages that forks share, and
// plans the work of every layer group; the sequences are then in the step until its commit or abort,
// and are kept alive by it. All or nothing: on failure no page is taken and no sequence is in it.
//
// Errors: [ErrState]: the batch has an open step. [ErrClosed]: b or a sequence is closed or nil.
// [ErrBusy]: another goroutine uses the batch, or a sequence is in an open step. [ErrOutOfPages]: too few
// free pages in some group. [ErrArgument]: counts that do not agree, a length or flag out of bounds, a
// sequence twice or of another cache, a chain beyond 2^31 - 1 tokens, a tree mask without TreePlan or
// with too small a stride, spans against their rules, a step larger than the batch's bounds, or a
// queue on the CPU.
func (b *Batch) Begin(in *BatchInput, queue uintptr) error {
	if err := b.use("Begin"); err != nil {
		return err
	}
	defer b.mu.Unlock()
	c, err := b.input("Begin", in)
	if err != nil {
		return err
	}
	b.mask.try(in.TreeMask)
	err = check(capi.BatchBegin(b.bits(), &c, queue))
	runtime.KeepAlive(in)
	b.mask.settle(err == nil)
	if err == nil {
		b.tokens, b.padded, b.dummy = newTokens(in.QLens), in.PaddedTokens, false
	}
	return err
}

// BeginDummy begins a step of rows made-up sequences of kvLen tokens each, of which qLen are new: for
// warming up, measuring, and capturing a graph. It takes no page, reads whatever some pages hold and
// writes none: K and V may be left out, and are not kept if given. Results mean nothing and may be
// NaN; time and shapes are as in a real step without sharing. End it by Abort, or by Commit without
// kept.
//
// Errors: [ErrState]: the batch has an open step. [ErrBusy]: another goroutine uses it. [ErrArgument]:
// rows or qLen is negative, kvLen is below qLen, rows * kvLen is above 2^31 - 1, the batch's bounds
// are passed, or a queue on the CPU.
func (b *Batch) BeginDummy(rows, qLen, kvLen int, queue uintptr) error {
	if err := b.use("BeginDummy"); err != nil {
		return err
	}
	defer b.mu.Unlock()
	err := check(capi.Batch_begin_dummy(b.bits(), int64(rows), int64(qLen), int64(kvLen), queue))
	if err == nil {
		b.tokens, b.padded, b.dummy = rows*qLen, 0, true
	}
	return err
}

// PagesNeeded is how many free pages of a layer group a Begin with this input would take: for its new
// tokens, and for partial pages shared by forks. It is what Begin compares with the free pages, as of
// now. The batch may have an open step, but no sequence of the input may be in one.
//
// Errors: [ErrArgument], [ErrClosed], [ErrBusy]: as Begin; or no such group.
func (b *Batch) PagesNeeded(in *BatchInput, group int) (int, error) {
	if err := b.use("PagesNeeded"); err != nil {
		return 0, err
	}
	defer b.mu.Unlock()
	c, err := b.input("PagesNeeded", in)
	if err != nil {
		return 0, err
	}
	var pages int64
	err = check(capi.BatchPagesNeeded(b.bits(), &c, int64(group), &pages))
	runtime.KeepAlive(in)
	return int(pages), err
}

// input lays a step out for C, and refuses a tree mask that is too short.
func (b *Batch) input(call string, in *BatchInput) (c capi.Input, err error) {
	if in == nil {
		return c, badArgument("Batch.%s: the input is nil", call)
	}
	if err := b.checkMask(call, in); err != nil {
		return c, err
	}
	b.sequences = b.sequences[:0]
	for _, s := range in.Sequences {
		b.sequences = append(b.sequences, s.bits()) // of a closed one 0, which the library refuses
	}
	return capi.Input{
		Sequences: b.sequences,
		QLens:     numbers(in.QLens), NumQLens: int64(len(in.QLens)),
		RowFlags: numbers(in.RowFlags), NumRowFlags: int64(len(in.RowFlags)),
		TreeMask: capi.Memory{
			Go: unsafe.Pointer(unsafe.SliceData(in.TreeMask)), Address: in.TreeMaskAt,
		},
		TreeStride: int64(in.TreeStride),
		Spans:      (*int64)(unsafe.Pointer(unsafe.SliceData(in.Spans))), NumSpans: int64(len(in.Spans)),
		PaddedTokens: int64(in.PaddedTokens),
	}, nil
}

func (b *Batch) checkMask(call string, in *BatchInput) error {
	if in.TreeMask == nil {
		return nil
	}
	if in.TreeMaskAt != 0 {
		return badArgument("Batch.%s: TreeMask and TreeMaskAt are both given", call)
	}
	if b.geometry.on == CUDABackend {
		return noSlices("Batch."+call, "TreeMask")
	}
	tokens := newTokens(in.QLens)
	if tokens == 0 || in.TreeStride < 0 {
		return nil
	}
	last := 0 // the last row's bytes; earlier rows end before it begins
	for _, n := range in.QLens {
		if n > 0 {
			last = (n + 7) / 8
		}
	}
	if needed := extent(tokens, in.TreeStride, 1, 0, last); needed > len(in.TreeMask) {
		return badArgument("Batch.%s: TreeMask has %d bytes; %d new tokens with a stride of %d bytes need %d",
			call, len(in.TreeMask), tokens, in.TreeStride, needed)
	}
	return nil
}

// newTokens is the sum of the lengths, or 0 if the library is going to refuse them.
func newTokens(qLens []int) int {
	tokens := 0
	for _, n := range qLens {
		if n < 0 || n > math.MaxInt32 {
			return 0
		}
		tokens += n
	}
	return tokens
}

// numbers is the array under a slice of int64s by another name.
func numbers[T ~int | ~int64](s []T) *int64 { return (*int64)(unsafe.Pointer(unsafe.SliceData(s))) }
