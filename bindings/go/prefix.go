package relayattn

import (
	"runtime"

	"relayattn/internal/capi"
)

// Prefix is a run of tokens that comes after its parent's, or first of all. It is open while it is
// being written, and never changes once sealed; only sealed prefixes have children and sequences.
// There are two ways to one: [Cache.NewPrefix], [Prefix.Write] and [Prefix.Seal] with K and V at
// hand; or prefill a sequence in steps and freeze it by [Sequence.Freeze], which copies nothing.
//
// A prefix lives until it is closed and nothing hangs under it. In a window group it keeps the last
// LayerOptions.Retain tokens of its run only.
type Prefix struct {
	handle   handle
	geometry *geometry
}

// KV is K and V of some tokens of one layer, for [Prefix.Write] and [Prefix.Read].
type KV struct {
	K         View // [NumTokens, NumKVHeads, HeadDimK] of the layer's KDType
	V         View // [NumTokens, NumKVHeads, HeadDimV] of the layer's VDType
	NumTokens int  // at least 0
}

func newPrefix(g *geometry, bits uintptr) *Prefix {
	p := &Prefix{geometry: g}
	own(p, &p.handle, bits, capi.Prefix_release, capi.Prefix_release)
	return p
}

// NewPrefix makes an open prefix of numTokens tokens, at least 1, under parent (sealed, of the same
// cache) or under none if that is nil, and takes its pages: at least numTokens / page size, rounded
// up, in each group without a window. It keeps the parent and the cache alive.
//
// Errors: [ErrArgument]: numTokens is below 1 or the chain would pass 2^31 - 1 tokens; or parent
// belongs to another cache. [ErrState]: parent is not sealed. [ErrOutOfPages]: too few free pages; none
// is taken.
func (k *Cache) NewPrefix(parent *Prefix, numTokens int) (*Prefix, error) {
	under, err := optional(parent.bits(), parent != nil, "Cache.NewPrefix", "parent")
	if err != nil {
		return nil, err
	}
	var bits uintptr
	err = check(capi.Prefix_create(k.bits(), under, int64(numTokens), &bits))
	runtime.KeepAlive(parent)
	if err != nil {
		return nil, err
	}
	return newPrefix(k.geometry, bits), nil
}

// Close gives the prefix up. Its pages return once no child, sequence or open step needs them. It
// returns nil, and does nothing a second time.
func (p *Prefix) Close() error {
	if p != nil {
		p.handle.close()
	}
	return nil
}

func (p *Prefix) bits() uintptr {
	if p == nil {
		return 0
	}
	return p.handle.bits.Load()
}

// Write copies K and V of kv.NumTokens tokens into an open prefix, for one layer, at its own tokens
// pos, pos + 1, .. (0 is the first token of this prefix, not of its chain). Any order and any cut
// into calls will do, and a token may be written again while the prefix is open. Tokens that a window
// layer would not keep are skipped. Every layer with K and V of its own must be written by the
// caller; nothing checks that.
//
// Errors: [ErrState]: p is sealed. [ErrArgument]: no such layer, or it shares another's K and V; the
// tokens are not all within the prefix; K or V is not given though NumTokens is not 0; a stride or
// alignment; a queue on the CPU.
func (p *Prefix) Write(layer, pos int, kv *KV, queue uintptr) error {
	return p.copy(true, "Prefix.Write", layer, pos, kv, queue)
}

// Read is the reverse of [Prefix.Write]: it copies K and V of the prefix's own tokens pos, pos + 1,
// .. out to kv's memory, bit for bit, for saving or moving them. Open or sealed. The parent's tokens
// are read through the parent.
//
// Errors: [ErrNotRetained]: a window layer has not kept one of these tokens; nothing is written.
// [ErrArgument]: as Write.
func (p *Prefix) Read(layer, pos int, kv *KV, queue uintptr) error {
	return p.copy(false, "Prefix.Read", layer, pos, kv, queue)
}

func (p *Prefix) copy(writes bool, call string, layer, pos int, kv *KV, queue uintptr) error {
	if p == nil {
		return ErrClosed
	}
	if kv == nil {
		return badArgument("%s: kv is nil", call)
	}
	if l := p.geometry.layer(layer); l != nil {
		on := p.geometry.on
		err := kv.K.check(call, "K", on, shape{kv.NumTokens, l.numKVHeads, l.headDimK, l.k})
		if err != nil {
			return err
		}
		err = kv.V.check(call, "V", on, shape{kv.NumTokens, l.numKVHeads, l.headDimV, l.v})
		if err != nil {
			return err
		}
	}
	k, v := kv.K.capi(), kv.V.capi()
	err := check(capi.PrefixCopy(writes, p.bits(), int64(layer), int64(pos), int64(kv.NumTokens), &k, &v,
		queue))
	runtime.KeepAlive(p)
	return err
}

// Seal ends the writing of a prefix: from now on it can be attached to, be a parent and be split, and
// it never changes again. Later work of the library on any queue is ordered after the writes.
//
// Errors: [ErrState]: p is sealed already. [ErrArgument]: a queue on the CPU.
func (p *Prefix) Seal(queue uintptr) error {
	err := check(capi.Prefix_seal(p.bits(), queue))
	runtime.KeepAlive(p)
	return err
}

// Split cuts a sealed prefix after numTokens of its own tokens, without copying: head is the first
// part as a prefix in its own right, and p becomes its child with the rest. Children and sequences of
// p see the same tokens as before. So a request that shares only the beginning of p can attach to
// the head.
//
// Errors: [ErrState]: p is open. [ErrArgument]: numTokens is not from 1 to p's own length less 1.
// [ErrNotRetained]: a window layer no longer has what a token at the cut would see.
func (p *Prefix) Split(numTokens int) (head *Prefix, err error) {
	var bits uintptr
	err = check(capi.Prefix_split(p.bits(), int64(numTokens), &bits))
	runtime.KeepAlive(p)
	if err != nil {
		return nil, err
	}
	return newPrefix(p.geometry, bits), nil
}

// Length is how many tokens a prefix has of its own, and how many its whole chain has, parents
// included: the position after its last. Open or sealed.
func (p *Prefix) Length() (own, total int, err error) {
	var n [2]int64
	err = check(capi.Prefix_length(p.bits(), &n[0], &n[1]))
	runtime.KeepAlive(p)
	return int(n[0]), int(n[1]), err
}
