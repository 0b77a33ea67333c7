package relayattn_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"

	"relayattn"
)

// request is a sequence, with what it should hold.
type request struct {
	*relayattn.Sequence
	k, v tensor
}

// step is one step of some requests, and its tensors.
type step struct {
	requests     []*request
	qLens        []int
	q, k, v, out tensor
	lse          []float32
	args         relayattn.AttendArgs
	input        relayattn.BatchInput
	sees         func(row, token, key, length int) bool // nil: causal
}

func newStep(random *rand.Rand, requests []*request, qLens []int) *step {
	tokens := 0
	s := &step{requests: requests, qLens: qLens}
	for i, n := range qLens {
		tokens += n
		s.input.Sequences = append(s.input.Sequences, requests[i].Sequence)
	}
	s.input.QLens = qLens
	s.q, s.out = randomTensor(random, tokens, 2, 32), newTensor(tokens, 2, 32)
	s.k, s.v = randomTensor(random, tokens, 1, 32), randomTensor(random, tokens, 1, 32)
	s.lse = make([]float32, tokens*2)
	s.args = relayattn.AttendArgs{
		Q: relayattn.ViewOf(s.q.values), Out: relayattn.ViewOf(s.out.values),
		K: relayattn.ViewOf(s.k.values), V: relayattn.ViewOf(s.v.values), LSE: relayattn.VectorOf(s.lse),
	}
	return s
}

// verify compares the step's results with the reference.
func (s *step) verify(t testing.TB) {
	t.Helper()
	first := 0
	for row, n := range s.qLens {
		r := s.requests[row]
		length := len(r.k.values) / 32
		k, v := join(r.k, s.k.rows(first, first+n)), join(r.v, s.v.rows(first, first+n))
		for token := range n {
			sees := func(key int) bool { return key <= length+token }
			if s.sees != nil {
				sees = func(key int) bool { return s.sees(row, token, key, length) }
			}
			for head := range 2 {
				out, lse := reference(s.q.head(first+token, head), k, v, 0, sees)
				what := fmt.Sprintf("row %d token %d head %d", row, token, head)
				near(t, what+" out", s.out.head(first+token, head), out)
				near(t, what+" lse", s.lse[(first+token)*2+head:], []float64{lse})
			}
		}
		first += n
	}
}

// keep is what a commit does: request row keeps these of its new tokens, in this order.
func (s *step) keep(row int, places ...int) {
	first := 0
	for _, n := range s.qLens[:row] {
		first += n
	}
	r := s.requests[row]
	for _, p := range places {
		r.k = join(r.k, s.k.rows(first+p, first+p+1))
		r.v = join(r.v, s.v.rows(first+p, first+p+1))
	}
}

func (s *step) keepAll() {
	for row, n := range s.qLens {
		for p := range n {
			s.keep(row, p)
		}
	}
}

func newRequest(s *relayattn.Sequence, k, v tensor) *request { return &request{s, k, v} }

// sharing is a cache with a prompt of 40 tokens, and two requests that begin with it.
func sharing(t testing.TB, random *rand.Rand) (*relayattn.Cache, []*request) {
	cache := newCache(t, small)
	k, v := randomTensor(random, 40, 1, 32), randomTensor(random, 40, 1, 32)
	p := get(cache.NewPrefix(nil, 40))(t)
	check(t, p.Write(0, 0, &relayattn.KV{K: relayattn.ViewOf(k.values), V: relayattn.ViewOf(v.values), NumTokens: 40}, 0))
	check(t, p.Seal(0))
	return cache, []*request{
		newRequest(get(cache.Attach(p))(t), k, v),
		newRequest(get(cache.Attach(p))(t), k, v),
	}
}

func TestStepsAgreeWithTheReference(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	cache, requests := sharing(t, random)
	requests = append(requests, newRequest(get(cache.Attach(nil))(t), newTensor(0, 1, 32), newTensor(0, 1, 32)))
	batch := newBatch(t, cache, relayattn.BatchOptions{})
	for n, qLens := range [][]int{{1, 1, 20}, {3, 0, 1}, {1, 17, 1}, {0, 0, 0}, {1, 1, 1}} {
		s := newStep(random, requests, qLens)
		check(t, batch.Begin(&s.input, 0), batch.Attend(0, &s.args, 0))
		s.verify(t)
		if n == 1 {
			check(t, batch.Abort(0)) // and the next steps are as if it had not been
			continue
		}
		check(t, batch.Commit(nil, nil, 0))
		s.keepAll()
	}
	for _, r := range requests {
		length, least, err := r.Length()
		check(t, err)
		if length != len(r.k.values)/32 || least != 0 {
			t.Errorf("the length is %d, at least %d", length, least)
		}
	}
}

func TestForksFreezesAndCutsKeepTheirTokens(t *testing.T) {
	random := rand.New(rand.NewPCG(2, 2))
	cache, requests := sharing(t, random)
	batch := newBatch(t, cache, relayattn.BatchOptions{})
	run := func(requests ...*request) {
		t.Helper()
		s := newStep(random, requests, []int{2, 2}[:len(requests)])
		check(t, batch.Begin(&s.input, 0), batch.Attend(0, &s.args, 0))
		s.verify(t)
		check(t, batch.Commit(nil, nil, 0))
		s.keepAll()
	}
	run(requests...)
	a := requests[0]
	b := newRequest(get(a.Fork())(t), a.k, a.v)
	run(a, b)
	frozen := get(a.Freeze(-1))(t)
	own, total, err := frozen.Length()
	check(t, err)
	if own != 4 || total != 44 {
		t.Errorf("the frozen prefix has %d tokens of %d", own, total)
	}
	c := newRequest(get(cache.Attach(frozen))(t), a.k, a.v)
	run(a, c)
	head := get(frozen.Split(3))(t)
	d := newRequest(get(cache.Attach(head))(t), a.k.rows(0, 43), a.v.rows(0, 43))
	check(t, b.Truncate(10))
	b.k, b.v = b.k.rows(0, 10), b.v.rows(0, 10)
	run(b, d)
	read := tensor{1, 32, make([]float32, 3*32)}
	check(t, head.Read(0, 0, &relayattn.KV{K: relayattn.ViewOf(read.values), V: relayattn.ViewOf(make([]float32, 96)), NumTokens: 3}, 0))
	for i, x := range read.values {
		if x != a.k.values[40*32+i] {
			t.Fatalf("K that was read differs at %d", i)
		}
	}
	if pages := get(d.Pages(0))(t); len(pages) < 3 {
		t.Errorf("%d pages hold 45 tokens", len(pages))
	}
}

func TestStridedViewsAreAPartOfAFusedTensor(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 3))
	cache, requests := sharing(t, random)
	batch := newBatch(t, cache, relayattn.BatchOptions{})
	s := newStep(random, requests, []int{2, 1})
	const row = 4 * 32 // a token's two query heads, its K and its V
	fused, out, lse := make([]float32, 3*row), make([]float32, 3*row), make([]float32, 3*4)
	for token := range 3 {
		copy(fused[token*row:], s.q.rows(token, token+1).values)
		copy(fused[token*row+64:], s.k.rows(token, token+1).values)
		copy(fused[token*row+96:], s.v.rows(token, token+1).values)
	}
	part := func(s []float32) relayattn.View { return relayattn.ViewOf(s).Strided(row*4, 0) }
	args := relayattn.AttendArgs{
		Q: part(fused), K: part(fused[64:]), V: part(fused[96:]),
		Out: relayattn.ViewOf(out).Strided(row*4, 2*32*4),
		LSE: relayattn.VectorOf(lse), LSETokenStride: 4, LSEHeadStride: 2,
	}
	check(t, batch.Begin(&s.input, 0), batch.Attend(0, &args, 0))
	for token := range 3 {
		for head := range 2 {
			copy(s.out.head(token, head), out[token*row+head*64:])
			s.lse[token*2+head] = lse[token*4+head*2]
		}
	}
	s.verify(t)
}

func TestMasksSpansAndRowFlags(t *testing.T) {
	random := rand.New(rand.NewPCG(4, 4))
	cache, requests := sharing(t, random)
	batch := newBatch(t, cache, relayattn.BatchOptions{Flags: relayattn.TreePlan})

	tree := newStep(random, requests, []int{4, 2})
	// Token 0 has the children 1 and 2; 3 comes after 2. The second request's tokens form a chain.
	masks := [][]uint8{{0b1, 0b11, 0b101, 0b1101}, {0b1, 0b11}}
	tree.input.TreeMask, tree.input.TreeStride = []byte{1, 3, 5, 13, 1, 3}, 1
	tree.sees = func(row, token, key, length int) bool {
		return key < length || masks[row][token]>>(key-length)&1 == 1
	}
	check(t, batch.Begin(&tree.input, 0), batch.Attend(0, &tree.args, 0))
	tree.verify(t)
	check(t, batch.Commit([]int{3, 1}, []int{0, 2, 3, 0}, 0))
	tree.keep(0, 0, 2, 3)
	tree.keep(1, 0)

	image := newStep(random, requests, []int{5, 1})
	image.input.Spans = []relayattn.Span{{Row: 0, Begin: 1, End: 4}}
	image.sees = func(row, token, key, length int) bool {
		last := length + token
		if row == 0 && token >= 1 && token < 4 {
			last = length + 3
		}
		return key <= last
	}
	check(t, batch.Begin(&image.input, 0), batch.Attend(0, &image.args, 0))
	image.verify(t)
	check(t, batch.Commit([]int{5, 0}, nil, 0))
	image.keep(0, 0, 1, 2, 3, 4)

	flags := newStep(random, requests, []int{3, 2})
	flags.input.RowFlags = []relayattn.RowFlags{relayattn.NoncausalRow, relayattn.NewAbsentRow}
	flags.sees = func(row, _, key, length int) bool { return row == 0 || key < length }
	check(t, batch.Begin(&flags.input, 0), batch.Attend(0, &flags.args, 0))
	flags.verify(t)
	check(t, batch.Commit(nil, nil, 0))
}

func TestTheStepHoldsItsTreeMask(t *testing.T) {
	random := rand.New(rand.NewPCG(11, 11))
	cache, requests := sharing(t, random)
	batch := newBatch(t, cache, relayattn.BatchOptions{Flags: relayattn.TreePlan})
	for range 20 {
		s := newStep(random, requests, []int{64, 64})
		s.input.TreeMask, s.input.TreeStride = make([]byte, 128*8), 8
		for token := range 128 { // every token sees itself only
			s.input.TreeMask[token*8+token%64/8] = 1 << (token % 8)
		}
		s.sees = func(_, token, key, length int) bool { return key < length || key == length+token }
		check(t, batch.Begin(&s.input, 0))
		s.input.TreeMask = nil
		fails(t, batch.Begin(&s.input, 0), relayattn.ErrState) // which must not let go of the mask
		runtime.GC()
		for range 2000 { // what was freed is used again
			rubbish := make([]byte, 128*8)
			for i := range rubbish {
				rubbish[i] = 0xff
			}
			kept = append(kept[:0], rubbish)
		}
		check(t, batch.Attend(0, &s.args, 0))
		s.verify(t)
		check(t, batch.Abort(0))
	}
}

var kept [][]byte // keeps the compiler from leaving allocations out

func TestPaddedRowsBecomeZero(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 5))
	cache, requests := sharing(t, random)
	batch := newBatch(t, cache, relayattn.BatchOptions{})
	s := newStep(random, requests, []int{1, 1})
	q, out, lse := make([]float32, 4*64), make([]float32, 4*64), make([]float32, 8)
	copy(q, s.q.values)
	for i := range out {
		out[i] = 7
	}
	s.input.PaddedTokens = 2
	s.args.Q, s.args.Out, s.args.LSE = relayattn.ViewOf(q), relayattn.ViewOf(out), relayattn.VectorOf(lse)
	check(t, batch.Begin(&s.input, 0), batch.Attend(0, &s.args, 0))
	copy(s.out.values, out)
	copy(s.lse, lse)
	s.verify(t)
	for _, x := range out[2*64:] {
		if x != 0 {
			t.Fatal("a padded row is not zero")
		}
	}
	if !math.IsInf(float64(lse[7]), -1) {
		t.Fatal("a padded row's LSE is not -Inf")
	}
}

func TestWorkersShareALayer(t *testing.T) {
	random := rand.New(rand.NewPCG(6, 6))
	cache, requests := sharing(t, random)
	batch := newBatch(t, cache, relayattn.BatchOptions{})
	for range 20 {
		s := newStep(random, requests, []int{1, 5})
		append := relayattn.AttendArgs{K: s.args.K, V: s.args.V}
		check(t, batch.Begin(&s.input, 0), batch.Attend(0, &append, 0))
		s.args.K, s.args.V = relayattn.View{}, relayattn.View{}
		var workers sync.WaitGroup
		for n := range 4 {
			workers.Go(func() {
				if err := batch.AttendWorker(0, &s.args, n, 4); err != nil {
					t.Error(err)
				}
			})
		}
		workers.Wait()
		s.verify(t)
		check(t, batch.Commit(nil, nil, 0))
		s.keepAll()
	}
}

func TestMergeJoinsTwoParts(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 7))
	c := newContext(t)
	q, k, v := randomTensor(random, 1, 1, 8), randomTensor(random, 9, 1, 8), randomTensor(random, 9, 1, 8)
	part := func(begin, end int) ([]float32, []float32) {
		out, lse := reference(q.values, k, v, 0, func(key int) bool { return key >= begin && key < end })
		narrow := make([]float32, len(out))
		for i, x := range out {
			narrow[i] = float32(x)
		}
		return narrow, []float32{float32(lse)}
	}
	a, aLSE := part(0, 4)
	b, bLSE := part(4, 9)
	args := relayattn.MergeArgs{
		NumTokens: 1, NumHeads: 1, HeadDim: 8, InDType: relayattn.F32, OutDType: relayattn.F32,
		A: relayattn.ViewOf(a), B: relayattn.ViewOf(b), Out: relayattn.ViewOf(a),
		ALSE: relayattn.VectorOf(aLSE), BLSE: relayattn.VectorOf(bLSE), OutLSE: relayattn.VectorOf(aLSE),
	}
	check(t, c.Merge(&args, 0))
	out, lse := reference(q.values, k, v, 0, func(int) bool { return true })
	near(t, "out", a, out)
	near(t, "lse", aLSE, []float64{lse})
	args.HeadDim = 9
	fails(t, c.Merge(&args, 0), relayattn.ErrArgument)
}

func TestDummyStepsAndPlans(t *testing.T) {
	cache := newCache(t, small)
	batch := newBatch(t, cache, relayattn.BatchOptions{})
	if _, err := batch.Plan(0); err == nil {
		t.Error("there is a plan before the first step")
	}
	check(t, batch.BeginDummy(3, 1, 64, 0))
	q, out := make([]float32, 3*64), make([]float32, 3*64)
	check(t, batch.Attend(0, &relayattn.AttendArgs{Q: relayattn.ViewOf(q), Out: relayattn.ViewOf(out)}, 0))
	plan := get(batch.Plan(0))(t)
	if plan.Launches != 1 || plan.Items < 3 || plan.Runs < 3 || plan.KVBytes < 3*64*32*4*2 {
		t.Errorf("the plan is %+v", plan)
	}
	check(t, batch.Abort(0))
	scratch, metadata, err := cache.BatchMemory(relayattn.BatchOptions{MaxRows: 4, MaxTokens: 4})
	check(t, err)
	if scratch < 0 || metadata < 0 || scratch+metadata == 0 {
		t.Errorf("the batch's memory is %d and %d bytes", scratch, metadata)
	}
}

func TestPagesAreCounted(t *testing.T) {
	cache := newCache(t, small)
	total, free, err := cache.Pages(0)
	check(t, err)
	if total != 64 || free != 64 {
		t.Fatalf("%d of %d pages are free", free, total)
	}
	s := get(cache.Attach(nil))(t)
	batch := newBatch(t, cache, relayattn.BatchOptions{})
	in := relayattn.BatchInput{Sequences: []*relayattn.Sequence{s}, QLens: []int{33}}
	if n := get(batch.PagesNeeded(&in, 0))(t); n != 3 {
		t.Errorf("33 tokens need %d pages of 16", n)
	}
	check(t, batch.Begin(&in, 0))
	if _, free, _ = cache.Pages(0); free != 61 {
		t.Errorf("%d pages are free in the step", free)
	}
	s.Close() // lives on in the step
	check(t, batch.Abort(0))
	if _, free, _ = cache.Pages(0); free != 64 {
		t.Errorf("%d pages are free after the step", free)
	}
	place := get(cache.Layer(0))(t)
	if place.PageSize != 16 || place.NumPages != 64 || !place.Packed || place.KPages == 0 || place.VPages == 0 {
		t.Errorf("the layer's place is %+v", place)
	}
}

func TestContextsAndModelsDescribeThemselves(t *testing.T) {
	c := newContext(t)
	info := get(c.Info())(t)
	if info.Backend != relayattn.CPUBackend || info.NumThreads != 1 || info.PageSize < 1 || info.Graphs || info.SM != 0 {
		t.Errorf("the context is %+v", info)
	}
	wide := small
	wide.HeadDimV = 64
	m := newModel(t, small, wide, small)
	for layer, group := range []int{0, 1, 0} {
		if got := get(m.LayerGroup(layer))(t); got != group {
			t.Errorf("layer %d is in group %d", layer, got)
		}
	}
	check(t, c.Supports(m, 16, relayattn.TreePlan))
	fails(t, c.Supports(m, 16, relayattn.GraphPlan), relayattn.ErrUnsupported)
	check(t, m.SetLayers(2, 1, relayattn.LayerOptions{
		NumQHeads: 4, NumKVHeads: 1, HeadDimK: 32, HeadDimV: 32, SharesKV: true, KVLayer: 0,
		QDType: relayattn.BF16, KDType: relayattn.F32, VDType: relayattn.F32, OutDType: relayattn.BF16,
	}))
	own := small
	own.SharesKV, own.KVLayer = true, -1
	fails(t, m.SetLayers(2, 1, own), relayattn.ErrArgument)
}
