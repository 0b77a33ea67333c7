package relayattn

import (
	"runtime"

	"relayattn/internal/capi"
)

// Sequence is one request: its prefix's tokens, then its own. It grows only by [Batch.Commit]. While
// it is in an open step its length is that before the step, and calls that would change it fail with
// [ErrBusy].
type Sequence struct {
	handle   handle
	geometry *geometry
}

func newSequence(g *geometry, bits uintptr) *Sequence {
	s := &Sequence{geometry: g}
	own(s, &s.handle, bits, capi.Sequence_release, capi.Sequence_release)
	return s
}

// Attach makes a sequence that begins with all tokens of p, or empty if p is nil. It takes no page
// before it gets tokens of its own, and keeps the prefix and the cache alive.
//
// Errors: [ErrState]: p is not sealed. [ErrArgument]: p belongs to another cache.
func (k *Cache) Attach(p *Prefix) (*Sequence, error) {
	to, err := optional(p.bits(), p != nil, "Cache.Attach", "p")
	if err != nil {
		return nil, err
	}
	var bits uintptr
	err = check(capi.Sequence_attach(k.bits(), to, &bits))
	runtime.KeepAlive(p)
	if err != nil {
		return nil, err
	}
	return newSequence(k.geometry, bits), nil
}

// Close gives the sequence up; if it is in an open step it goes when that is committed or aborted. It
// returns nil, and does nothing a second time.
func (s *Sequence) Close() error {
	if s != nil {
		s.handle.close()
	}
	return nil
}

func (s *Sequence) bits() uintptr {
	if s == nil {
		return 0
	}
	return s.handle.bits.Load()
}

// Fork makes a second sequence with the same tokens, for parallel sampling or beams. Nothing is
// copied: full pages are shared for good, and a partial last page until one of the two gets a new
// token, when the begin of that step copies it (one page more in each group, which
// [Batch.PagesNeeded] counts).
//
// Errors: [ErrBusy]: s is in an open step.
func (s *Sequence) Fork() (*Sequence, error) {
	var bits uintptr
	err := check(capi.Sequence_fork(s.bits(), &bits))
	runtime.KeepAlive(s)
	if err != nil {
		return nil, err
	}
	return newSequence(s.geometry, bits), nil
}

// Freeze makes a sealed prefix of the first numTokens tokens of s (1 .. its length, or -1 for all),
// without copying. The sequence keeps its tokens and goes on as a child of the new prefix. This is
// how a prompt that was computed in steps, or the common part of a conversation, becomes shared.
//
// The prefix's own tokens, for Read and Split, begin where the prefix ends that s was last attached
// to or frozen at; if numTokens does not reach beyond that, they are the whole chain.
//
// Errors: [ErrBusy]: s is in an open step. [ErrArgument]: numTokens is out of bounds; an empty
// sequence has nothing to freeze. [ErrNotRetained]: a window layer no longer has what a token after
// numTokens would see.
func (s *Sequence) Freeze(numTokens int) (*Prefix, error) {
	var bits uintptr
	err := check(capi.Prefix_from_sequence(s.bits(), int64(numTokens), &bits))
	runtime.KeepAlive(s)
	if err != nil {
		return nil, err
	}
	return newPrefix(s.geometry, bits), nil
}

// Truncate forgets all tokens of s from length on, and gives back the pages that nothing else uses.
// It may cut into the prefix: s then hangs under the tokens before the cut, and others who share
// them notice nothing. The length that s has changes nothing.
//
// Errors: [ErrBusy]: s is in an open step. [ErrArgument]: length is not from 0 to s's length.
// [ErrNotRetained]: a window layer no longer has what the next token would see; every length from the
// least of [Sequence.Length] on can be had, and LayerOptions.Retain widens that.
func (s *Sequence) Truncate(length int) error {
	err := check(capi.Sequence_truncate(s.bits(), int64(length)))
	runtime.KeepAlive(s)
	return err
}

// Length is the number of tokens of s, prefix included, and the least length from which on
// [Sequence.Truncate] reaches every one: 0 unless a window layer has given pages back.
func (s *Sequence) Length() (length, least int, err error) {
	var n [2]int64
	err = check(capi.Sequence_length(s.bits(), &n[0], &n[1]))
	runtime.KeepAlive(s)
	return int(n[0]), int(n[1]), err
}

// Pages is the indexes of the pages of a layer group that hold tokens of s, in order of position,
// prefixes included, for transfer and accounting. Pages are not always full, since every prefix and
// tail begins a page; which slots hold which tokens is not told. A window group lists what it still
// has. New pages of an open step are not listed.
//
// Errors: [ErrArgument]: no such group.
func (s *Sequence) Pages(group int) ([]int32, error) {
	var pages []int32
	for {
		var n int64
		err := check(capi.SequencePages(s.bits(), int64(group), pages, &n))
		runtime.KeepAlive(s)
		if err != nil {
			return nil, err
		}
		if int(n) <= len(pages) {
			return pages[:n], nil
		}
		// It may grow meanwhile, by another goroutine's step: look again.
		pages = make([]int32, n)
	}
}
