package relayattn_test

import (
	"fmt"
	"math"
	"runtime"
	"strings"
	"sync"
	"testing"

	"relayattn"
)

func TestEveryErrorOfTheLibraryArrives(t *testing.T) {
	window := small
	window.WindowKind, window.Window = relayattn.SlidingWindow, 16
	k := newCache(t, window)
	open := get(k.NewPrefix(nil, 16))(t)
	long := get(k.NewPrefix(nil, 256))(t)
	check(t, long.Seal(0))

	cases := []struct {
		kind error
		call func() error
	}{
		{relayattn.ErrArgument, func() error { _, err := relayattn.NewModel(0); return err }},
		{relayattn.ErrClosed, func() error {
			s := get(k.Attach(nil))(t)
			s.Close()
			return s.Truncate(0)
		}},
		{relayattn.ErrState, func() error { _, err := k.Attach(open); return err }},
		{relayattn.ErrBusy, func() error {
			s := get(k.Attach(nil))(t)
			b := newBatch(t, k, relayattn.BatchOptions{})
			check(t, b.Begin(&relayattn.BatchInput{Sequences: []*relayattn.Sequence{s}, QLens: []int{1}}, 0))
			defer b.Abort(0)
			_, err := s.Fork()
			return err
		}},
		{relayattn.ErrUnsupported, func() error {
			mixed := small
			mixed.VDType = relayattn.BF16
			return get(relayattn.NewModel(1))(t).SetLayers(0, 1, mixed)
		}},
		{relayattn.ErrOutOfMemory, func() error {
			huge := small
			huge.NumQHeads, huge.NumKVHeads, huge.HeadDimK, huge.HeadDimV = 65536, 65536, 256, 256
			_, err := newContext(t).NewCache(newModel(t, huge), relayattn.CacheOptions{CapacityTokens: math.MaxInt32})
			return err
		}},
		{relayattn.ErrOutOfPages, func() error { _, err := newCache(t, small).NewPrefix(nil, 1025); return err }},
		{relayattn.ErrNotRetained, func() error { return get(k.Attach(long))(t).Truncate(100) }},
		{relayattn.ErrDevice, func() error {
			_, err := relayattn.NewContext(relayattn.ContextOptions{Backend: relayattn.CUDABackend, Ordinal: 4096})
			return err
		}},
	}
	for _, c := range cases {
		err := c.call()
		fails(t, err, c.kind)
		e := err.(*relayattn.Error)
		if !strings.Contains(e.Message, ": ") || strings.HasPrefix(e.Code.String(), "unknown") {
			t.Errorf("%v says too little", err)
		}
		for _, other := range cases {
			if other.kind != c.kind && other.kind.(*relayattn.Error).Is(err) {
				t.Errorf("%v passes for %v", err, other.kind)
			}
		}
	}
}

func TestErrorTextsBelongToTheirOwnCall(t *testing.T) {
	// Goroutines move between threads; a text that was fetched by a second call would be another's.
	var wait sync.WaitGroup
	for n := range 8 {
		wait.Go(func() {
			expected := "is " + string(rune('1'+n)) + "00000;"
			for range 2000 {
				_, err := relayattn.NewModel((n + 1) * 100000)
				if err == nil || !strings.Contains(err.Error(), expected) {
					t.Errorf("%v has not %q", err, expected)
					return
				}
				runtime.Gosched()
			}
		})
	}
	wait.Wait()
}

func TestCountsAboveTwoToThe31Survive(t *testing.T) {
	const n = 1<<31 + 5
	for _, err := range []error{
		func() error { _, err := relayattn.NewModel(n); return err }(),
		func() error { _, err := newCache(t, small).NewPrefix(nil, n); return err }(),
		func() error { return newModel(t, small).SetLayers(n, 1, small) }(),
		func() error { _, _, err := newCache(t, small).Pages(n); return err }(),
	} {
		fails(t, err, relayattn.ErrArgument)
		if !strings.Contains(err.Error(), "2147483653") {
			t.Errorf("the count does not stand in %v", err)
		}
	}
	wide := small
	wide.NumQHeads, wide.NumKVHeads = 64, 64
	size := get(newContext(t).CacheMemory(newModel(t, wide), relayattn.CacheOptions{PageSize: 16, CapacityTokens: 1 << 30}))(t)
	const pages = 1 << 30 * 64 * 32 * 4 * 2
	if size < pages || size > pages+4096 {
		t.Errorf("the size is %d", size)
	}
}

func TestConstantsHaveNames(t *testing.T) {
	for _, c := range []struct {
		value fmt.Stringer
		name  string
	}{
		{relayattn.CPUBackend, "cpu"}, {relayattn.BF16, "bf16"}, {relayattn.DType(0), "default"},
		{relayattn.AVX512ISA, "avx512"}, {relayattn.DType(-1), "DType(-1)"}, {relayattn.ISA(6), "ISA(6)"},
		{relayattn.CodePages, "RA_ERROR_PAGES"},
	} {
		if c.value.String() != c.name {
			t.Errorf("%v should be %s", c.value, c.name)
		}
	}
}

func TestVersions(t *testing.T) {
	if relayattn.Version() < relayattn.HeaderVersion || relayattn.HeaderVersion < 100 {
		t.Errorf("the library's version is %d, the header's %d", relayattn.Version(), relayattn.HeaderVersion)
	}
}
