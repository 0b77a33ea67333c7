package relayattn_test

import (
	"errors"
	"math/rand/v2"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"relayattn"
)

// closable is every object there is, with all of its methods that can fail.
type closable struct {
	name  string
	close func() error
	calls map[string]func() error
}

func objects(t testing.TB) []closable {
	t.Helper()
	ctx := get(relayattn.NewContext(relayattn.ContextOptions{Backend: relayattn.CPUBackend, NumThreads: 1}))(t)
	model := get(relayattn.NewModel(1))(t)
	check(t, model.SetLayers(0, 1, small))
	room := relayattn.CacheOptions{PageSize: 16, CapacityTokens: 1024}
	cache := get(ctx.NewCache(model, room))(t)
	prefix := get(cache.NewPrefix(nil, 16))(t)
	check(t, prefix.Seal(0))
	sequence := get(cache.Attach(prefix))(t)
	batch := get(cache.NewBatch(relayattn.BatchOptions{}))(t)
	input := relayattn.BatchInput{Sequences: []*relayattn.Sequence{sequence}, QLens: []int{1}}
	return append([]closable{
		{"Batch", batch.Close, batchCalls(batch, &input)},
		{"Sequence", sequence.Close, sequenceCalls(sequence)},
		{"Prefix", prefix.Close, prefixCalls(prefix)},
	}, closable{"Cache", cache.Close, cacheCalls(cache)},
		closable{"Model", model.Close, modelCalls(model)},
		closable{"Context", ctx.Close, contextCalls(ctx, model)})
}

func second[T any](_ T, err error) error { return err }

func contextCalls(c *relayattn.Context, m *relayattn.Model) map[string]func() error {
	return map[string]func() error{
		"Info":        func() error { return second(c.Info()) },
		"Supports":    func() error { return c.Supports(m, 16, 0) },
		"SetLog":      func() error { return c.SetLog(func(bool, string) {}) },
		"CacheMemory": func() error { return second(c.CacheMemory(m, relayattn.CacheOptions{CapacityTokens: 16})) },
		"NewCache":    func() error { return second(c.NewCache(m, relayattn.CacheOptions{CapacityTokens: 16})) },
		"Merge": func() error {
			return c.Merge(&relayattn.MergeArgs{NumHeads: 1, HeadDim: 1, InDType: relayattn.F32, OutDType: relayattn.F32}, 0)
		},
	}
}

func modelCalls(m *relayattn.Model) map[string]func() error {
	return map[string]func() error{
		"SetLayers":  func() error { return m.SetLayers(0, 1, small) },
		"LayerGroup": func() error { return second(m.LayerGroup(0)) },
	}
}

func cacheCalls(k *relayattn.Cache) map[string]func() error {
	return map[string]func() error{
		"Pages":       func() error { _, _, err := k.Pages(0); return err },
		"Layer":       func() error { return second(k.Layer(0)) },
		"NewPrefix":   func() error { return second(k.NewPrefix(nil, 1)) },
		"Attach":      func() error { return second(k.Attach(nil)) },
		"BatchMemory": func() error { _, _, err := k.BatchMemory(relayattn.BatchOptions{}); return err },
		"NewBatch":    func() error { return second(k.NewBatch(relayattn.BatchOptions{})) },
	}
}

func prefixCalls(p *relayattn.Prefix) map[string]func() error {
	kv := relayattn.KV{K: floats(32), V: floats(32), NumTokens: 1}
	return map[string]func() error{
		"Write":  func() error { return p.Write(0, 0, &kv, 0) },
		"Read":   func() error { return p.Read(0, 0, &kv, 0) },
		"Seal":   func() error { return p.Seal(0) },
		"Split":  func() error { return second(p.Split(1)) },
		"Length": func() error { _, _, err := p.Length(); return err },
	}
}

func sequenceCalls(s *relayattn.Sequence) map[string]func() error {
	return map[string]func() error{
		"Fork":     func() error { return second(s.Fork()) },
		"Freeze":   func() error { return second(s.Freeze(-1)) },
		"Truncate": func() error { return s.Truncate(0) },
		"Length":   func() error { _, _, err := s.Length(); return err },
		"Pages":    func() error { return second(s.Pages(0)) },
	}
}

func batchCalls(b *relayattn.Batch, in *relayattn.BatchInput) map[string]func() error {
	args := relayattn.AttendArgs{Q: floats(64), Out: floats(64), K: floats(32), V: floats(32)}
	return map[string]func() error{
		"Begin":        func() error { return b.Begin(in, 0) },
		"BeginDummy":   func() error { return b.BeginDummy(1, 1, 1, 0) },
		"PagesNeeded":  func() error { return second(b.PagesNeeded(in, 0)) },
		"Attend":       func() error { return b.Attend(0, &args, 0) },
		"AttendWorker": func() error { return b.AttendWorker(0, &args, 0, 1) },
		"Commit":       func() error { return b.Commit(nil, nil, 0) },
		"Abort":        func() error { return b.Abort(0) },
		"Plan":         func() error { return second(b.Plan(0)) },
	}
}

func TestClosedObjectsAnswerErrClosed(t *testing.T) {
	for _, o := range objects(t) {
		for range 3 {
			check(t, o.close())
		}
		for name, call := range o.calls {
			t.Run(o.name+"."+name, func(t *testing.T) { fails(t, call(), relayattn.ErrClosed) })
		}
	}
}

func TestNilObjectsAnswerErrClosed(t *testing.T) {
	var (
		c *relayattn.Context
		m *relayattn.Model
		k *relayattn.Cache
		p *relayattn.Prefix
		s *relayattn.Sequence
		b *relayattn.Batch
	)
	for _, o := range []closable{
		{"Context", c.Close, contextCalls(c, newModel(t, small))}, {"Model", m.Close, modelCalls(m)},
		{"Cache", k.Close, cacheCalls(k)}, {"Prefix", p.Close, prefixCalls(p)},
		{"Sequence", s.Close, sequenceCalls(s)}, {"Batch", b.Close, batchCalls(b, nil)},
		{"its Model", m.Close, contextCalls(newContext(t), m)},
	} {
		check(t, o.close())
		for name, call := range o.calls {
			if o.name == "its Model" && (name == "Info" || name == "SetLog" || name == "Merge") {
				continue
			}
			t.Run(o.name+"."+name, func(t *testing.T) { fails(t, call(), relayattn.ErrClosed) })
		}
	}
}

func TestAClosedParentIsNotTakenForNone(t *testing.T) {
	k := newCache(t, small)
	p := get(k.NewPrefix(nil, 16))(t)
	check(t, p.Seal(0))
	check(t, p.Close())
	fails(t, second(k.NewPrefix(p, 1)), relayattn.ErrClosed)
	fails(t, second(k.Attach(p)), relayattn.ErrClosed)
	s := get(k.Attach(nil))(t)
	check(t, s.Close())
	b := newBatch(t, k, relayattn.BatchOptions{})
	fails(t, b.Begin(&relayattn.BatchInput{Sequences: []*relayattn.Sequence{s}, QLens: []int{1}}, 0), relayattn.ErrClosed)
}

func TestObjectsKeepAliveWhatTheyNeed(t *testing.T) {
	random := rand.New(rand.NewPCG(8, 8))
	cache, requests := sharing(t, random)
	batch := newBatch(t, cache, relayattn.BatchOptions{})
	check(t, cache.Close())
	s := newStep(random, requests, []int{1, 1})
	check(t, batch.Begin(&s.input, 0))
	check(t, requests[0].Close(), requests[1].Close())
	check(t, batch.Attend(0, &s.args, 0))
	s.verify(t)
	check(t, batch.Commit(nil, nil, 0))
}

func TestCloseMayComeDuringAnyCall(t *testing.T) {
	for range 40 {
		for _, o := range objects(t) {
			var wait sync.WaitGroup
			var closed atomic.Bool
			for _, call := range o.calls {
				wait.Go(func() {
					for range 20 {
						late := closed.Load()
						if err := call(); late && !errors.Is(err, relayattn.ErrClosed) {
							t.Errorf("%s: after Close a call got %v", o.name, err)
						}
					}
				})
			}
			for range 2 {
				wait.Go(func() {
					runtime.Gosched()
					o.close()
					closed.Store(true)
				})
			}
			wait.Wait()
		}
	}
}

func TestASecondGoroutineFindsTheBatchBusy(t *testing.T) {
	wide := small
	wide.NumQHeads, wide.NumKVHeads = 64, 64
	k := newCache(t, wide)
	b := newBatch(t, k, relayattn.BatchOptions{})
	const tokens = 512
	check(t, b.BeginDummy(1, tokens, tokens, 0))
	args := relayattn.AttendArgs{Q: floats(tokens * 64 * 32), Out: floats(tokens * 64 * 32)}
	var running, busy atomic.Int64
	var wait sync.WaitGroup
	running.Store(2)
	for range 2 {
		wait.Go(func() {
			defer running.Add(-1)
			for range 10 {
				if err := b.Attend(0, &args, 0); errors.Is(err, relayattn.ErrBusy) {
					busy.Add(1)
				} else if err != nil {
					t.Error(err)
				}
			}
		})
	}
	for running.Load() > 0 {
		if err := b.Begin(&relayattn.BatchInput{}, 0); errors.Is(err, relayattn.ErrBusy) {
			busy.Add(1)
		} else if !errors.Is(err, relayattn.ErrState) {
			t.Fatal(err)
		}
		runtime.Gosched()
	}
	wait.Wait()
	if busy.Load() == 0 {
		t.Error("no call was told that the batch is busy")
	}
}

func TestUnreachableObjectsGiveTheirPagesBack(t *testing.T) {
	k := newCache(t, small)
	func() {
		p := get(k.NewPrefix(nil, 100))(t)
		check(t, p.Seal(0))
		s := get(k.Attach(p))(t)
		b := get(k.NewBatch(relayattn.BatchOptions{Flags: relayattn.TreePlan}))(t)
		check(t, b.Begin(&relayattn.BatchInput{
			Sequences: []*relayattn.Sequence{s}, QLens: []int{8}, TreeMask: make([]byte, 8), TreeStride: 1,
		}, 0)) // lost with its step open, and a mask held
	}()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		runtime.GC()
		total, free, err := k.Pages(0)
		check(t, err)
		if free == total {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d of %d pages never came back", total-free, total)
		}
	}
}

// Garbage collection under load: objects are lost in the middle of their steps while the collector
// runs all the time. 60 seconds, or 5 with RELAYATTN_TEST_QUICK.
func TestGarbageCollectionUnderLoad(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes a minute")
	}
	duration := 60 * time.Second
	if os.Getenv("RELAYATTN_TEST_QUICK") != "" {
		duration = 5 * time.Second
	}
	k := get(newContext(t).NewCache(newModel(t, small), relayattn.CacheOptions{PageSize: 16, CapacityTokens: 1 << 16}))(t)
	t.Cleanup(func() { k.Close() })
	end := time.Now().Add(duration)
	var wait sync.WaitGroup
	var steps atomic.Int64
	for n := range 4 {
		wait.Go(func() {
			random := rand.New(rand.NewPCG(9, uint64(n)))
			for time.Now().Before(end) {
				lose := loseObjects
				if random.IntN(2) == 0 {
					lose = useOnce
				}
				if err := lose(k, random); err == nil {
					steps.Add(1)
				} else if !errors.Is(err, relayattn.ErrOutOfPages) { // the lost ones come back late
					t.Error(err)
					return
				}
			}
		})
	}
	for time.Now().Before(end) {
		runtime.GC()
	}
	wait.Wait()
	if steps.Load() == 0 {
		t.Error("no step got through")
	}
	t.Logf("%d steps", steps.Load())
}

// loseObjects runs a step or two on fresh objects, closes some of them and forgets the rest.
func loseObjects(k *relayattn.Cache, random *rand.Rand) error {
	p, err := k.NewPrefix(nil, 8)
	if err != nil {
		return err
	}
	kv := relayattn.KV{K: floats(8 * 32), V: floats(8 * 32), NumTokens: 8}
	if err := errors.Join(p.Write(0, 0, &kv, 0), p.Seal(0)); err != nil {
		return err
	}
	s, err := k.Attach(p)
	if err != nil {
		return err
	}
	if random.IntN(2) == 0 {
		p.Close()
	}
	b, err := k.NewBatch(relayattn.BatchOptions{Flags: relayattn.TreePlan, MaxRows: 1, MaxTokens: 2})
	if err != nil {
		return err
	}
	in := relayattn.BatchInput{
		Sequences: []*relayattn.Sequence{s}, QLens: []int{2}, TreeMask: []byte{1, 3}, TreeStride: 1,
	}
	args := relayattn.AttendArgs{Q: floats(2 * 64), Out: floats(2 * 64), K: floats(2 * 32), V: floats(2 * 32), LSE: vector(4)}
	if err := errors.Join(b.Begin(&in, 0), b.Attend(0, &args, 0)); err != nil {
		return err
	}
	if random.IntN(2) == 0 {
		return nil // the step is open
	}
	if err := b.Commit(nil, nil, 0); err != nil {
		return err
	}
	if f, err := s.Fork(); err == nil && random.IntN(2) == 0 {
		s.Close()
		f.Close()
	}
	return nil
}

// useOnce calls methods of objects that are unreachable from then on: the collector must not take
// them before the call is done.
func useOnce(k *relayattn.Cache, random *rand.Rand) error {
	m, err := relayattn.NewModel(1)
	if err != nil {
		return err
	}
	if err := m.SetLayers(0, 1, small); err != nil {
		return err
	}
	p, err := k.NewPrefix(nil, 1)
	if err != nil {
		return err
	}
	if err := p.Seal(0); err != nil {
		return err
	}
	s, err := k.Attach(p)
	if err != nil {
		return err
	}
	f, err := s.Fork()
	if err != nil {
		return err
	}
	switch random.IntN(4) {
	case 0:
		_, err = f.Freeze(-1)
	case 1:
		_, _, err = f.Length()
	default:
		var b *relayattn.Batch
		if b, err = k.NewBatch(relayattn.BatchOptions{MaxRows: 1, MaxTokens: 1}); err == nil {
			err = b.Begin(&relayattn.BatchInput{Sequences: []*relayattn.Sequence{f}, QLens: []int{1}}, 0)
		}
	}
	return err
}
