package relayattn_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"math/bits"
	"os"
	"slices"
	"testing"

	"relayattn"
)

// operation is one call of tests/bindings/scenario.json, whose README says what its fields mean.
type operation struct {
	Op, Misuse, Out, Context, Model, Cache, Prefix, Parent, Sequence, Batch, Object string

	Status                                                relayattn.Code
	Sequences                                             []string
	Backend                                               relayattn.Backend
	Ordinal                                               int32
	NumThreads                                            int `json:"num_threads"`
	NumLayers                                             int `json:"num_layers"`
	First, Count, Layer, Group                            int
	NumQHeads                                             int                  `json:"num_q_heads"`
	NumKVHeads                                            int                  `json:"num_kv_heads"`
	HeadDimK                                              int                  `json:"head_dim_k"`
	HeadDimV                                              int                  `json:"head_dim_v"`
	QDType                                                relayattn.DType      `json:"q_dtype"`
	KDType                                                relayattn.DType      `json:"k_dtype"`
	VDType                                                relayattn.DType      `json:"v_dtype"`
	KVDType                                               relayattn.DType      `json:"kv_dtype"`
	OutDType                                              relayattn.DType      `json:"out_dtype"`
	DType                                                 relayattn.DType      `json:"dtype"`
	WindowKind                                            relayattn.WindowKind `json:"window_kind"`
	Window, Retain                                        int
	KVLayer                                               int                 `json:"kv_layer"`
	UsesSinks                                             int                 `json:"uses_sinks"`
	UsesALiBi                                             int                 `json:"uses_alibi"`
	SoftmaxScale                                          float32             `json:"softmax_scale"`
	LogitSoftcap                                          float32             `json:"logit_softcap"`
	PageSize                                              int                 `json:"page_size"`
	PlanFlags                                             relayattn.PlanFlags `json:"plan_flags"`
	CapacityTokens                                        int                 `json:"capacity_tokens"`
	MaxSequences                                          int                 `json:"max_sequences"`
	NumTokens                                             int                 `json:"num_tokens"`
	NumHeads                                              int                 `json:"num_heads"`
	HeadDim                                               int                 `json:"head_dim"`
	MaxRows                                               int                 `json:"max_rows"`
	MaxTokens                                             int                 `json:"max_tokens"`
	Mode                                                  relayattn.Mode
	Flags                                                 relayattn.PlanFlags
	QLens                                                 []int                `json:"q_lens"`
	RowFlags                                              []relayattn.RowFlags `json:"row_flags"`
	TreeMask                                              []int                `json:"tree_mask"`
	TreeStride                                            int                  `json:"tree_stride"`
	Spans                                                 []int
	PaddedTokens                                          int `json:"padded_tokens"`
	Rows                                                  int
	QLen                                                  int `json:"q_len"`
	KVLen                                                 int `json:"kv_len"`
	Q, K, V, A, B                                         int // seeds
	QSize                                                 int `json:"q_size"`
	KSize                                                 int `json:"k_size"`
	VSize                                                 int `json:"v_size"`
	OutSize                                               int `json:"out_size"`
	LSESize                                               int `json:"lse_size"`
	Sinks, Slopes                                         []float32
	ALSE                                                  []float32 `json:"a_lse"`
	BLSE                                                  []float32 `json:"b_lse"`
	LSEBase2                                              int       `json:"lse_base2"`
	Kept, Index                                           []int
	Property                                              int
	Total, Free, Own, Length, Min, Num, Pos, Pages, Value int
	OutValues                                             []float64 `json:"out_values"`
	LSEValues                                             []float64 `json:"lse_values"`
}

// world is the objects by their names in the scenario.
type world struct {
	contexts  map[string]*relayattn.Context
	models    map[string]*relayattn.Model
	caches    map[string]*relayattn.Cache
	prefixes  map[string]*relayattn.Prefix
	sequences map[string]*relayattn.Sequence
	batches   map[string]*relayattn.Batch
	objects   map[string]io.Closer
}

func TestScenario(t *testing.T) {
	text, err := os.ReadFile("../../tests/bindings/scenario.json")
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("it is in the library's repository, and this module is outside")
	}
	check(t, err)
	var scenario struct {
		Format     int
		Statuses   map[string]relayattn.Code
		Operations []operation
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	check(t, decoder.Decode(&scenario))
	if scenario.Format != 1 {
		t.Fatalf("the format is %d", scenario.Format)
	}
	for name, code := range scenario.Statuses {
		if code.String() != name {
			t.Errorf("%d is called %q and not %q", code, code, name)
		}
	}
	w := &world{
		map[string]*relayattn.Context{}, map[string]*relayattn.Model{}, map[string]*relayattn.Cache{},
		map[string]*relayattn.Prefix{}, map[string]*relayattn.Sequence{}, map[string]*relayattn.Batch{},
		map[string]io.Closer{},
	}
	reached := map[relayattn.Code]bool{}
	for i, o := range scenario.Operations {
		verify, err := w.carryOut(&o)
		var e *relayattn.Error
		code := relayattn.Code(0)
		if errors.As(err, &e) {
			code = e.Code
		}
		if code != o.Status {
			t.Fatalf("operation %d, %s: got %v, expected %v", i, o.Op, err, o.Status)
		}
		reached[code] = true
		if code != 0 || verify == nil {
			continue
		}
		if err := verify(); err != nil {
			t.Fatalf("operation %d, %s: %v", i, o.Op, err)
		}
	}
	for name, code := range scenario.Statuses {
		if !reached[code] && code != relayattn.CodeInternal {
			t.Errorf("%s was never reached", name)
		}
	}
}

// made binds an operation's result to its name.
func made[T io.Closer](w *world, byName map[string]T, name string, object T, err error) error {
	if err == nil {
		byName[name], w.objects[name] = object, object
	}
	return err
}

// carryOut does what an operation says. If it returns a function, that compares the answer.
func (w *world) carryOut(o *operation) (verify func() error, err error) {
	switch o.Op {
	case "context_create":
		c, err := relayattn.NewContext(relayattn.ContextOptions{Backend: o.Backend, Ordinal: o.Ordinal, NumThreads: o.NumThreads})
		return nil, made(w, w.contexts, o.Out, c, err)
	case "context_supports":
		return nil, w.contexts[o.Context].Supports(w.models[o.Model], o.PageSize, o.PlanFlags)
	case "merge_state":
		return w.merge(o)
	case "model_create":
		m, err := relayattn.NewModel(o.NumLayers)
		return nil, made(w, w.models, o.Out, m, err)
	case "model_set_layers":
		return nil, w.models[o.Model].SetLayers(o.First, o.Count, o.layerOptions())
	case "model_layer_group":
		group, err := w.models[o.Model].LayerGroup(o.Layer)
		return same(pair{group, o.Group}), err
	case "release":
		return nil, w.objects[o.Object].Close()
	case "cache_create":
		k, err := w.contexts[o.Context].NewCache(w.models[o.Model], relayattn.CacheOptions{
			PageSize: o.PageSize, CapacityTokens: o.CapacityTokens, MaxSequences: o.MaxSequences,
		})
		return nil, made(w, w.caches, o.Out, k, err)
	case "cache_pages":
		total, free, err := w.caches[o.Cache].Pages(o.Group)
		return same(pair{total, o.Total}, pair{free, o.Free}), err
	}
	if verify, err, ok := w.prefixOrSequence(o); ok {
		return verify, err
	}
	if verify, err, ok := w.batch(o); ok {
		return verify, err
	}
	return nil, fmt.Errorf("there is no operation %q", o.Op)
}

func (o *operation) layerOptions() relayattn.LayerOptions {
	return relayattn.LayerOptions{
		NumQHeads: o.NumQHeads, NumKVHeads: o.NumKVHeads, HeadDimK: o.HeadDimK, HeadDimV: o.HeadDimV,
		QDType: o.QDType, KDType: o.KDType, VDType: o.VDType, OutDType: o.OutDType,
		WindowKind: o.WindowKind, Window: o.Window, Retain: o.Retain,
		SharesKV: o.KVLayer != -1, KVLayer: o.KVLayer,
		UsesSinks: o.UsesSinks != 0, UsesALiBi: o.UsesALiBi != 0,
		SoftmaxScale: o.SoftmaxScale, LogitSoftcap: o.LogitSoftcap,
	}
}

func (w *world) prefixOrSequence(o *operation) (verify func() error, err error, ok bool) {
	p, s := w.prefixes[o.Prefix], w.sequences[o.Sequence]
	switch o.Op {
	case "prefix_create":
		p, err := w.caches[o.Cache].NewPrefix(w.prefixes[o.Parent], o.NumTokens)
		return nil, made(w, w.prefixes, o.Out, p, err), true
	case "prefix_write":
		return nil, p.Write(o.Layer, o.Pos, &relayattn.KV{
			K: newBuffer(o.K, o.KSize, o.DType).view(), V: newBuffer(o.V, o.VSize, o.DType).view(), NumTokens: o.NumTokens,
		}, 0), true
	case "prefix_read":
		k, v := newBuffer(1, o.KSize, o.DType), newBuffer(1, o.VSize, o.DType)
		err := p.Read(o.Layer, o.Pos, &relayattn.KV{K: k.view(), V: v.view(), NumTokens: o.NumTokens}, 0)
		return func() error {
			if !k.equal(newBuffer(o.K, o.KSize, o.DType)) || !v.equal(newBuffer(o.V, o.VSize, o.DType)) {
				return errors.New("other K or V than was written")
			}
			return nil
		}, err, true
	case "prefix_seal":
		return nil, p.Seal(0), true
	case "prefix_from_sequence":
		p, err := s.Freeze(o.NumTokens)
		return nil, made(w, w.prefixes, o.Out, p, err), true
	case "prefix_split":
		head, err := p.Split(o.NumTokens)
		return nil, made(w, w.prefixes, o.Out, head, err), true
	case "prefix_length":
		own, total, err := p.Length()
		return same(pair{own, o.Own}, pair{total, o.Total}), err, true
	case "sequence_attach":
		s, err := w.caches[o.Cache].Attach(p)
		return nil, made(w, w.sequences, o.Out, s, err), true
	case "sequence_fork":
		s, err := s.Fork()
		return nil, made(w, w.sequences, o.Out, s, err), true
	case "sequence_truncate":
		return nil, s.Truncate(o.Length), true
	case "sequence_length":
		length, least, err := s.Length()
		if o.Min == -1 {
			least = -1
		}
		return same(pair{length, o.Length}, pair{least, o.Min}), err, true
	case "sequence_pages":
		pages, err := s.Pages(o.Group)
		return same(pair{len(pages), o.Num}), err, true
	}
	return nil, nil, false
}

func (w *world) batch(o *operation) (verify func() error, err error, ok bool) {
	b := w.batches[o.Batch]
	switch o.Op {
	case "batch_create":
		b, err := w.caches[o.Cache].NewBatch(relayattn.BatchOptions{
			MaxRows: o.MaxRows, MaxTokens: o.MaxTokens, Mode: o.Mode, Flags: o.Flags,
		})
		return nil, made(w, w.batches, o.Out, b, err), true
	case "batch_pages_needed":
		pages, err := b.PagesNeeded(w.input(o), o.Group)
		return same(pair{pages, o.Pages}), err, true
	case "batch_begin":
		return nil, b.Begin(w.input(o), 0), true
	case "batch_begin_dummy":
		return nil, b.BeginDummy(o.Rows, o.QLen, o.KVLen, 0), true
	case "batch_attend":
		verify, err := w.attend(b, o)
		return verify, err, true
	case "batch_commit":
		return nil, b.Commit(given(o.Kept), given(o.Index), 0), true
	case "batch_abort":
		return nil, b.Abort(0), true
	case "batch_query":
		p, err := b.Plan(o.Group)
		properties := []int{p.Launches, p.Items, p.Runs, p.RelayRuns, p.Partials, p.KVBytes, p.PredictedNS}
		if o.Property < 1 || o.Property > len(properties) { // it has no name in Go
			return nil, relayattn.ErrArgument, true
		}
		return same(pair{properties[o.Property-1], o.Value}), err, true
	}
	return nil, nil, false
}

func (w *world) input(o *operation) *relayattn.BatchInput {
	in := &relayattn.BatchInput{
		QLens: given(o.QLens), RowFlags: given(o.RowFlags), TreeStride: o.TreeStride, PaddedTokens: o.PaddedTokens,
	}
	for _, name := range o.Sequences {
		in.Sequences = append(in.Sequences, w.sequences[name])
	}
	for _, b := range o.TreeMask {
		in.TreeMask = append(in.TreeMask, byte(b))
	}
	for s := range slices.Chunk(o.Spans, 3) {
		in.Spans = append(in.Spans, relayattn.Span{Row: s[0], Begin: s[1], End: s[2]})
	}
	return in
}

func (w *world) attend(b *relayattn.Batch, o *operation) (verify func() error, err error) {
	out := newBuffer(1, o.OutSize, o.OutDType)
	var lse []float32
	if o.LSESize != 0 {
		lse = make([]float32, o.LSESize)
	}
	args := relayattn.AttendArgs{
		Q: newBuffer(o.Q, o.QSize, o.QDType).view(), Out: out.view(),
		K: newBuffer(o.K, o.KSize, o.KVDType).view(), V: newBuffer(o.V, o.VSize, o.KVDType).view(),
		Sinks: relayattn.VectorOf(given(o.Sinks)), Slopes: relayattn.VectorOf(given(o.Slopes)),
		LSE: relayattn.VectorOf(lse), SoftmaxScale: o.SoftmaxScale, LogitSoftcap: o.LogitSoftcap,
	}
	err = b.Attend(o.Layer, &args, 0)
	return func() error {
		return errors.Join(compare("out", out, o.OutValues), compare("lse", buffer{dtype: relayattn.F32, singles: lse}, o.LSEValues))
	}, err
}

func (w *world) merge(o *operation) (verify func() error, err error) {
	size := o.NumTokens * o.NumHeads * o.HeadDim
	out, lse := make([]float32, size), make([]float32, o.NumTokens*o.NumHeads)
	err = w.contexts[o.Context].Merge(&relayattn.MergeArgs{
		NumTokens: o.NumTokens, NumHeads: o.NumHeads, HeadDim: o.HeadDim,
		InDType: relayattn.F32, OutDType: relayattn.F32, Base2: o.LSEBase2 != 0,
		A: newBuffer(o.A, size, relayattn.F32).view(), B: newBuffer(o.B, size, relayattn.F32).view(),
		ALSE: relayattn.VectorOf(o.ALSE), BLSE: relayattn.VectorOf(o.BLSE),
		Out: relayattn.ViewOf(out), OutLSE: relayattn.VectorOf(lse),
	}, 0)
	return func() error {
		return errors.Join(compare("out", buffer{dtype: relayattn.F32, singles: out}, o.OutValues),
			compare("lse", buffer{dtype: relayattn.F32, singles: lse}, o.LSEValues))
	}, err
}

// given makes "not given" of an empty array.
func given[T any](s []T) []T {
	if len(s) == 0 {
		return nil
	}
	return s
}

type pair struct{ got, want int }

func same(pairs ...pair) func() error {
	return func() error {
		for _, p := range pairs {
			if p.got != p.want {
				return fmt.Errorf("got %d, expected %d", p.got, p.want)
			}
		}
		return nil
	}
}

// buffer is numbers in one of the three dtypes.
type buffer struct {
	dtype   relayattn.DType
	singles []float32
	halves  []uint16
}

// newBuffer is made from a seed, of which 0 makes none.
func newBuffer(seed, size int, dtype relayattn.DType) buffer {
	b := buffer{dtype: dtype}
	if seed == 0 {
		return b
	}
	if dtype == relayattn.F32 {
		b.singles = make([]float32, 0, size)
	} else {
		b.halves = make([]uint16, 0, size)
	}
	state := uint64(seed)
	for range size {
		state = (state*1103515245 + 12345) % (1 << 31)
		m := int(state>>16%255) - 127
		switch dtype {
		case relayattn.F32:
			b.singles = append(b.singles, float32(m)/64)
		case relayattn.BF16:
			b.halves = append(b.halves, uint16(math.Float32bits(float32(m)/64)>>16))
		default:
			b.halves = append(b.halves, float16(m))
		}
	}
	return b
}

// float16 is the bits of m / 64.
func float16(m int) uint16 {
	if m == 0 {
		return 0
	}
	sign, size := 0, m
	if m < 0 {
		sign, size = 1, -m
	}
	e := bits.Len(uint(size)) - 1
	return uint16(sign<<15 | (e+9)<<10 | size<<(10-e)&1023)
}

func (b buffer) view() relayattn.View {
	if b.dtype == relayattn.F32 {
		return relayattn.ViewOf(b.singles)
	}
	return relayattn.ViewOf(b.halves)
}

func (b buffer) equal(other buffer) bool {
	return slices.Equal(b.singles, other.singles) && slices.Equal(b.halves, other.halves)
}

func (b buffer) at(i int) float64 {
	switch b.dtype {
	case relayattn.F32:
		return float64(b.singles[i])
	case relayattn.BF16:
		return float64(math.Float32frombits(uint32(b.halves[i]) << 16))
	}
	u := int(b.halves[i])
	e, f := u>>10&31, float64(u&1023)
	size := f * math.Ldexp(1, -24)
	if e != 0 {
		size = math.Ldexp(1024+f, e-25)
	}
	return math.Copysign(size, float64(1-2*(u>>15)))
}

// compare is nil if all numbers are near enough.
func compare(what string, got buffer, want []float64) error {
	tolerance := map[relayattn.DType]float64{relayattn.F32: 3e-6, relayattn.F16: 5e-4, relayattn.BF16: 4e-3}[got.dtype]
	if n := len(got.singles) + len(got.halves); len(want) != n && len(want) != 0 {
		return fmt.Errorf("%s has %d numbers, expected %d", what, n, len(want))
	}
	for i, x := range want {
		y := got.at(i)
		if x == -1e300 {
			x = math.Inf(-1)
		}
		if y != x && !(math.Abs(y-x) <= tolerance*(1+math.Abs(x))) {
			return fmt.Errorf("%s[%d] is %v, expected %v", what, i, y, x)
		}
	}
	return nil
}
