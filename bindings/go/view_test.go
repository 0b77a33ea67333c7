package relayattn_test

import (
	"math"
	"testing"

	"relayattn"
)

// opened is a batch with an open step of two sequences with 2 and 1 new tokens.
func opened(t testing.TB, layers ...relayattn.LayerOptions) *relayattn.Batch {
	t.Helper()
	k := newCache(t, layers...)
	b := newBatch(t, k, relayattn.BatchOptions{})
	in := relayattn.BatchInput{QLens: []int{2, 1}, PaddedTokens: 1}
	for range 2 {
		in.Sequences = append(in.Sequences, get(k.Attach(nil))(t))
	}
	check(t, b.Begin(&in, 0))
	return b
}

func floats(n int) relayattn.View { return relayattn.ViewOf(make([]float32, n)) }

func vector(n int) relayattn.Vector { return relayattn.VectorOf(make([]float32, n)) }

// fitting has every slice exactly as long as the step of opened needs: 3 tokens and a padded one.
func fitting() relayattn.AttendArgs {
	return relayattn.AttendArgs{Q: floats(4 * 64), Out: floats(4 * 64), K: floats(3 * 32), V: floats(3 * 32), LSE: vector(8)}
}

func TestSlicesMustBeLongEnough(t *testing.T) {
	b := opened(t, small)
	args := fitting()
	check(t, b.Attend(0, &args, 0))
	for name, change := range map[string]func(*relayattn.AttendArgs){
		"Q":                      func(a *relayattn.AttendArgs) { a.Q = floats(4*64 - 1) },
		"Out":                    func(a *relayattn.AttendArgs) { a.Out = floats(4*64 - 1) },
		"K":                      func(a *relayattn.AttendArgs) { a.K = floats(3*32 - 1) },
		"V":                      func(a *relayattn.AttendArgs) { a.V = relayattn.ViewOf([]float32{}) },
		"LSE":                    func(a *relayattn.AttendArgs) { a.LSE = vector(7) },
		"LSE's token stride":     func(a *relayattn.AttendArgs) { a.LSETokenStride = 3 },
		"LSE's head stride":      func(a *relayattn.AttendArgs) { a.LSEHeadStride = 2 },
		"LSE's huge strides":     func(a *relayattn.AttendArgs) { a.LSETokenStride = math.MaxInt },
		"LSE's negative strides": func(a *relayattn.AttendArgs) { a.LSETokenStride = math.MinInt },
		"token stride":           func(a *relayattn.AttendArgs) { a.Q = a.Q.Strided(65*4, 0) },
		"head stride":            func(a *relayattn.AttendArgs) { a.Out = a.Out.Strided(0, 33*4) },
		"huge token stride":      func(a *relayattn.AttendArgs) { a.Q = a.Q.Strided(math.MaxInt&^3, 0) },
		"wrapping token stride":  func(a *relayattn.AttendArgs) { a.Q = a.Q.Strided(1<<62, 0) },
		"huge head stride":       func(a *relayattn.AttendArgs) { a.Q = a.Q.Strided(0, math.MaxInt&^3) },
		"negative stride":        func(a *relayattn.AttendArgs) { a.Q = a.Q.Strided(-4, 0) },
		"odd stride":             func(a *relayattn.AttendArgs) { a.K = floats(1000).Strided(129, 0) },
		"element size":           func(a *relayattn.AttendArgs) { a.Q = relayattn.ViewOf(make([]uint16, 1000)) },
		"no Q":                   func(a *relayattn.AttendArgs) { a.Q = relayattn.View{} },
		"nil Out":                func(a *relayattn.AttendArgs) { a.Out = relayattn.ViewOf[float32](nil) },
		"no V":                   func(a *relayattn.AttendArgs) { a.V = relayattn.View{} },
		"sinks":                  func(a *relayattn.AttendArgs) { a.Sinks = vector(2) },
		"slopes":                 func(a *relayattn.AttendArgs) { a.Slopes = vector(2) },
		"scale":                  func(a *relayattn.AttendArgs) { a.SoftmaxScale = float32(math.NaN()) },
		"soft-cap":               func(a *relayattn.AttendArgs) { a.LogitSoftcap = -1 },
	} {
		t.Run(name, func(t *testing.T) {
			args := fitting()
			change(&args)
			fails(t, b.Attend(0, &args, 0), relayattn.ErrArgument)
		})
	}
	fails(t, b.Attend(0, nil, 0), relayattn.ErrArgument)
	fails(t, b.Attend(1, &args, 0), relayattn.ErrArgument)
	fails(t, b.Attend(-1, &args, 0), relayattn.ErrArgument)
	fails(t, b.Attend(0, &args, 1), relayattn.ErrArgument) // a queue on the CPU
	check(t, b.Attend(0, &args, 0))
}

func TestVectorsMustBeLongEnough(t *testing.T) {
	sinks := small
	sinks.UsesSinks, sinks.UsesALiBi = true, true
	b := opened(t, sinks)
	args := fitting()
	args.Sinks, args.Slopes = vector(2), vector(2)
	check(t, b.Attend(0, &args, 0))
	args.Sinks = vector(1)
	fails(t, b.Attend(0, &args, 0), relayattn.ErrArgument)
	args.Sinks, args.Slopes = vector(2), vector(1)
	fails(t, b.Attend(0, &args, 0), relayattn.ErrArgument)
}

func TestHalfElementsAreTheirBits(t *testing.T) {
	half := small
	half.QDType, half.KDType, half.VDType, half.OutDType = relayattn.BF16, relayattn.F16, relayattn.F16, 0
	b := opened(t, half)
	type bfloat16 uint16
	q, out := make([]bfloat16, 4*64), make([]bfloat16, 4*64)
	k, v := make([]uint16, 3*32), make([]uint16, 3*32)
	for i := range v {
		v[i] = 0x3e00 // 1.5 in float16
	}
	args := relayattn.AttendArgs{Q: relayattn.ViewOf(q), Out: relayattn.ViewOf(out), K: relayattn.ViewOf(k), V: relayattn.ViewOf(v)}
	check(t, b.Attend(0, &args, 0))
	if out[0] != 0x3fc0 { // 1.5 in bfloat16
		t.Errorf("out is %#x", out[0])
	}
	args.Out = floats(4 * 64)
	fails(t, b.Attend(0, &args, 0), relayattn.ErrArgument)
}

func TestSlicesMayLieInObjectsWithPointers(t *testing.T) {
	// cgo's own check looks for pointers in all of an object, and would refuse these.
	type room struct {
		next     *room
		q, out   [4 * 64]float32
		k, v     [3 * 32]float32
		lse      [8]float32
		previous []*room
	}
	b := opened(t, small)
	r := &room{next: &room{}, previous: []*room{{}}}
	args := relayattn.AttendArgs{
		Q: relayattn.ViewOf(r.q[:]), Out: relayattn.ViewOf(r.out[:]), K: relayattn.ViewOf(r.k[:]),
		V: relayattn.ViewOf(r.v[:]), LSE: relayattn.VectorOf(r.lse[:]),
	}
	check(t, b.Attend(0, &args, 0))
}

func TestKVOfAPrefixMustBeLongEnough(t *testing.T) {
	k := newCache(t, small)
	p := get(k.NewPrefix(nil, 8))(t)
	check(t, p.Write(0, 0, &relayattn.KV{K: floats(8 * 32), V: floats(8 * 32), NumTokens: 8}, 0))
	for name, kv := range map[string]*relayattn.KV{
		"nil":         nil,
		"short K":     {K: floats(8*32 - 1), V: floats(8 * 32), NumTokens: 8},
		"short V":     {K: floats(8 * 32), V: floats(8*32 - 1), NumTokens: 8},
		"bytes":       {K: relayattn.ViewOf(make([]uint16, 8*32)), V: floats(8 * 32), NumTokens: 8},
		"strided":     {K: floats(8*32).Strided(33*4, 0), V: floats(8 * 32), NumTokens: 8},
		"too many":    {K: floats(9 * 32), V: floats(9 * 32), NumTokens: 9},
		"huge":        {K: floats(8 * 32), V: floats(8 * 32), NumTokens: math.MaxInt},
		"negative":    {K: floats(8 * 32), V: floats(8 * 32), NumTokens: -1},
		"not given K": {V: floats(8 * 32), NumTokens: 8},
	} {
		t.Run(name, func(t *testing.T) {
			fails(t, p.Write(0, 0, kv, 0), relayattn.ErrArgument)
			fails(t, p.Read(0, 0, kv, 0), relayattn.ErrArgument)
		})
	}
}

func TestTreeMasksMustBeLongEnough(t *testing.T) {
	k := newCache(t, small)
	b := newBatch(t, k, relayattn.BatchOptions{Flags: relayattn.TreePlan})
	in := relayattn.BatchInput{QLens: []int{9, 1}, TreeStride: 2}
	for range 2 {
		in.Sequences = append(in.Sequences, get(k.Attach(nil))(t))
	}
	in.TreeMask = make([]byte, 9*2) // the last row has 1 byte more
	fails(t, b.Begin(&in, 0), relayattn.ErrArgument)
	in.TreeStride = math.MaxInt
	fails(t, b.Begin(&in, 0), relayattn.ErrArgument)
	in.TreeStride = 1
	in.TreeMask = make([]byte, 100)
	fails(t, b.Begin(&in, 0), relayattn.ErrArgument)
	in.TreeStride = -2
	fails(t, b.Begin(&in, 0), relayattn.ErrArgument)
	in.TreeStride, in.TreeMaskAt = 2, 1
	fails(t, b.Begin(&in, 0), relayattn.ErrArgument)
	in.TreeMaskAt, in.TreeMask = 0, make([]byte, 9*2+1)
	check(t, b.Begin(&in, 0))
	fails(t, b.Begin(&in, 0), relayattn.ErrState)
	check(t, b.Abort(0))
	in.QLens = []int{-1, math.MaxInt}
	fails(t, b.Begin(&in, 0), relayattn.ErrArgument)
	in.QLens = []int{1}
	fails(t, b.Begin(&in, 0), relayattn.ErrArgument)
	in.QLens, in.Sequences = []int{1, 1}, append(in.Sequences[:1], in.Sequences[0])
	fails(t, b.Begin(&in, 0), relayattn.ErrArgument)
	in.Sequences[1] = nil
	fails(t, b.Begin(&in, 0), relayattn.ErrClosed)
	fails(t, b.Begin(nil, 0), relayattn.ErrArgument)
}

func TestMergesCheckTheirSlices(t *testing.T) {
	c := newContext(t)
	fitting := relayattn.MergeArgs{
		NumTokens: 2, NumHeads: 3, HeadDim: 5, InDType: relayattn.F32, OutDType: relayattn.F32,
		A: floats(30), B: floats(30), Out: floats(30), ALSE: vector(6), BLSE: vector(6), OutLSE: vector(6),
	}
	check(t, c.Merge(&fitting, 0))
	for name, change := range map[string]func(*relayattn.MergeArgs){
		"A":       func(a *relayattn.MergeArgs) { a.A = floats(29) },
		"B":       func(a *relayattn.MergeArgs) { a.B = floats(29) },
		"Out":     func(a *relayattn.MergeArgs) { a.Out = floats(29) },
		"ALSE":    func(a *relayattn.MergeArgs) { a.ALSE = vector(5) },
		"BLSE":    func(a *relayattn.MergeArgs) { a.BLSE = vector(5) },
		"OutLSE":  func(a *relayattn.MergeArgs) { a.OutLSE = vector(5) },
		"tokens":  func(a *relayattn.MergeArgs) { a.NumTokens = math.MaxInt },
		"heads":   func(a *relayattn.MergeArgs) { a.NumHeads = math.MaxInt32 },
		"dim":     func(a *relayattn.MergeArgs) { a.NumHeads, a.HeadDim = math.MaxInt32, math.MaxInt32 },
		"dtype":   func(a *relayattn.MergeArgs) { a.OutDType = 99 },
		"nothing": func(a *relayattn.MergeArgs) { *a = relayattn.MergeArgs{} },
	} {
		t.Run(name, func(t *testing.T) {
			args := fitting
			change(&args)
			fails(t, c.Merge(&args, 0), relayattn.ErrArgument)
		})
	}
}
