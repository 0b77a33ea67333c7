package relayattn

import (
	"runtime"
	"sync"

	"relayattn/internal/capi"
)

// Model is a list of layers, numbered from 0, that belongs to no device. Layers of equal KV
// geometry, dtype and window form a layer group: they have equal page counts and share each step's
// plan, so it is best to give equal layers equal options. Groups are numbered in the order of their
// first layers. A layer that was never set takes no memory and cannot be attended.
type Model struct {
	handle handle
	mu     sync.Mutex // over layers and the library's model, so that they agree
	layers []layer
}

// layer is what shapes of tensors follow from; all 0 for a layer that was never set.
type layer struct {
	numQHeads, numKVHeads, headDimK, headDimV int
	q, k, v, out                              DType
}

// LayerOptions are for [Model.SetLayers]. The four sizes must be set; zero is a default elsewhere.
type LayerOptions struct {
	NumQHeads  int   // 1 .. 65536, a multiple of NumKVHeads (GQA); equal for MHA
	NumKVHeads int   // 1 .. 65536; 1 for MQA
	HeadDimK   int   // elements of a head of q and K: a multiple of 8 from 32 to 256
	HeadDimV   int   // elements of a head of V and out: likewise, and may differ
	QDType     DType // 0: BF16, here and below
	KDType     DType // of K in the pages and as given
	VDType     DType // must equal KDType, else ErrUnsupported
	OutDType   DType

	WindowKind WindowKind // default NoWindow
	Window     int        // tokens: of the window or of a chunk, 1 .. 2^31 - 1; 0 for no window

	// Retain is how many tokens before a sequence's end, or a prefix's, a window layer keeps; older
	// whole pages are given back. 0: Window; -1: all; else at least Window. More allows
	// Sequence.Truncate and the cuts of prefixes to go back further. 0 for no window.
	Retain int

	// SharesKV makes the layer attend over the K and V of the lower layer KVLayer, which must be
	// set, have its own, and agree in NumKVHeads, head dims and KV dtype; if it has a window, this
	// layer's must keep no more tokens than it does. KVLayer is else not looked at.
	SharesKV bool
	KVLayer  int

	UsesSinks    bool    // every attend has Sinks; else none has
	UsesALiBi    bool    // every attend has Slopes; else none has
	SoftmaxScale float32 // factor of q . k; 0: 1/sqrt(HeadDimK). Finite
	LogitSoftcap float32 // cap of the scores, before ALiBi; 0: none. Finite, >= 0
}

// NewModel makes a model of numLayers layers, 1 .. 65536, none of them set.
//
// Errors: [ErrArgument]: numLayers is out of bounds.
func NewModel(numLayers int) (*Model, error) {
	var bits uintptr
	if err := check(capi.Model_create(int64(numLayers), &bits)); err != nil {
		return nil, err
	}
	m := &Model{layers: make([]layer, numLayers)}
	own(m, &m.handle, bits, capi.Model_release, capi.Model_release)
	return m, nil
}

// Close gives the model up. Caches have copies and do not mind. It returns nil, and does nothing a
// second time.
func (m *Model) Close() error {
	if m != nil {
		m.handle.close()
	}
	return nil
}

func (m *Model) bits() uintptr {
	if m == nil {
		return 0
	}
	return m.handle.bits.Load()
}

// SetLayers gives layers first .. first + count - 1 the same options. It may be called for different
// layers, and again for the same ones; group numbers may then change. Caches copy the model when
// they are made and do not see later changes. A count of 0 checks o and changes nothing.
//
// Errors: [ErrArgument]: the range is not within the model; an option is out of its bounds; KVLayer
// names a layer that cannot be borrowed from; or a layer that was set before borrows K and V from
// one of these and would no longer fit. [ErrUnsupported]: an unserved dtype, or KDType is not VDType.
func (m *Model) SetLayers(first, count int, o LayerOptions) error {
	if m == nil {
		return ErrClosed
	}
	kvLayer := int64(-1)
	if o.SharesKV {
		// A number below 0 would be taken for "none".
		if o.KVLayer < 0 {
			return badArgument("Model.SetLayers: KVLayer is %d; it must be a lower layer's number",
				o.KVLayer)
		}
		kvLayer = int64(o.KVLayer)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	err := check(capi.Model_set(m.bits(), int64(first), int64(count), int64(o.NumQHeads),
		int64(o.NumKVHeads), int64(o.HeadDimK), int64(o.HeadDimV), int32(o.QDType), int32(o.KDType),
		int32(o.VDType), int32(o.OutDType), int32(o.WindowKind), int64(o.Window), int64(o.Retain),
		kvLayer, oneIf(o.UsesSinks), oneIf(o.UsesALiBi), o.SoftmaxScale, o.LogitSoftcap))
	if err != nil {
		return err
	}
	l := layer{
		numQHeads: o.NumQHeads, numKVHeads: o.NumKVHeads, headDimK: o.HeadDimK, headDimV: o.HeadDimV,
		q: o.QDType.orDefault(), k: o.KDType.orDefault(), v: o.VDType.orDefault(),
		out: o.OutDType.orDefault(),
	}
	for i := first; i < first+count; i++ {
		m.layers[i] = l
	}
	return nil
}

// LayerGroup is the number of the layer group that a layer is in, for calls that take a group. A
// layer that shares K and V is in a group that shares the pages of its source's group.
//
// Errors: [ErrArgument]: no such layer, or it was never set.
func (m *Model) LayerGroup(layer int) (int, error) {
	var group int64
	err := check(capi.Model_layer_group(m.bits(), int64(layer), &group))
	runtime.KeepAlive(m)
	return int(group), err
}

func (d DType) orDefault() DType {
	if d == 0 {
		return BF16
	}
	return d
}

func oneIf(b bool) int32 {
	if b {
		return 1
	}
	return 0
}

// geometry is a cache's copy of its model's layers, and where it computes.
type geometry struct {
	on     Backend
	layers []layer
}

// layer is nil for one that is not there or was never set: the library then refuses the call.
func (g *geometry) layer(i int) *layer {
	if i < 0 || i >= len(g.layers) || g.layers[i].numQHeads == 0 {
		return nil
	}
	return &g.layers[i]
}
