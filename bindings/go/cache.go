package relayattn

import (
	"runtime"
	"slices"

	"relayattn/internal/capi"
)

// Cache is a fixed number of pages of K and V for each layer group of a model, all allocated when it
// is made. Prefixes and sequences take pages and give them back; nothing is ever evicted behind the
// caller's back.
type Cache struct {
	handle   handle
	geometry *geometry
}

// CacheOptions are for [Context.NewCache] and [Context.CacheMemory]. CapacityTokens must be set.
type CacheOptions struct {
	PageSize int // token slots of a page, 1 .. 65536; 0: the device's best

	// CapacityTokens is for how many tokens a layer group without a window has room, 1 .. 2^31 - 1,
	// rounded up to whole pages. A shared token counts once; the unused rest of each run's last page
	// counts too.
	CapacityTokens int

	// MaxSequences is how many sequences will exist at once, a promise that lets window groups be
	// smaller than the others. 0: no promise. Not enforced: more sequences just find fewer pages.
	MaxSequences int

	// Memory is the address of device memory for the pages, never of Go memory, that outlives the
	// cache and all that is in it; 0: the cache allocates. MemorySize is its size in bytes, at least
	// what CacheMemory says.
	Memory     uintptr
	MemorySize int
}

// CacheMemory is how many bytes of device memory a cache with these options takes for its pages. It
// allocates none; o.Memory is not looked at.
//
// Errors: as [Context.NewCache], without those about memory.
func (c *Context) CacheMemory(m *Model, o CacheOptions) (int, error) {
	var size int64
	err := check(capi.Cache_size(c.bits(), m.bits(), int64(o.PageSize), int64(o.CapacityTokens),
		int64(o.MaxSequences), &size))
	runtime.KeepAlive(c)
	runtime.KeepAlive(m)
	return int(size), err
}

// NewCache makes a cache for a copy of the model as it is now, and allocates its pages unless
// o.Memory has them. What pages hold at first is unspecified. The cache keeps the context alive.
//
// Errors: [ErrArgument]: an option is out of its bounds, or MemorySize is too small. [ErrState]: no
// layer of the model is set. [ErrUnsupported]: the device cannot serve a layer, see
// [Context.Supports]. [ErrOutOfMemory]: the pages cannot be allocated.
func (c *Context) NewCache(m *Model, o CacheOptions) (*Cache, error) {
	if c == nil || m == nil {
		return nil, ErrClosed
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	var bits uintptr
	err := check(capi.Cache_make(c.bits(), m.bits(), int64(o.PageSize), int64(o.CapacityTokens),
		int64(o.MaxSequences), o.Memory, int64(o.MemorySize), &bits))
	runtime.KeepAlive(c)
	if err != nil {
		return nil, err
	}
	k := &Cache{geometry: &geometry{on: c.backend, layers: slices.Clone(m.layers)}}
	own(k, &k.handle, bits, capi.Cache_release, capi.Cache_release)
	return k, nil
}

// Close gives the cache up. The pages' memory goes when the last prefix, sequence and batch has. It
// returns nil, and does nothing a second time.
func (k *Cache) Close() error {
	if k != nil {
		k.handle.close()
	}
	return nil
}

func (k *Cache) bits() uintptr {
	if k == nil {
		return 0
	}
	return k.handle.bits.Load()
}

// Pages is how many pages a layer group has, and how many of them are free now. Pages of an open
// step count as taken. With [Batch.PagesNeeded] this decides whether a request can be admitted.
//
// Errors: [ErrArgument]: no such group.
func (k *Cache) Pages(group int) (total, free int, err error) {
	var n [2]int64
	err = check(capi.Cache_pages(k.bits(), int64(group), &n[0], &n[1]))
	runtime.KeepAlive(k)
	return int(n[0]), int(n[1]), err
}

// LayerPlace is where and how the pages of one layer lie; see [Cache.Layer]. Strides are in bytes.
type LayerPlace struct {
	PageSize int // token slots of a page
	NumPages int // of the layer's group

	// Packed is whether the device's own order holds inside a page, which strides do not describe:
	// token and head strides are then 0, and K and V go in and out by Prefix.Write, Prefix.Read and
	// Batch.Attend. So it is on CPU caches, and not on CUDA caches.
	Packed bool

	KPageStride, KTokenStride, KHeadStride int
	VPageStride, VTokenStride, VHeadStride int

	KPages, VPages uintptr // page 0 of K and of V, in device memory owned by the cache
}

// Layer tells where and how the pages of a layer lie, for registering them with a transfer engine or
// for moving whole pages; a layer that shares K and V answers with its source's. The memory stays at
// its place while the cache or anything in it lives. The library cannot order the caller's own reads
// and writes: synchronise the queues that used these pages, and leave alone pages that no prefix or
// sequence of yours holds.
//
// Errors: [ErrArgument]: no such layer, or it was never set.
func (k *Cache) Layer(layer int) (LayerPlace, error) {
	var v [11]int64
	err := check(capi.Cache_place(k.bits(), int64(layer), &v[0]))
	runtime.KeepAlive(k)
	if err != nil {
		return LayerPlace{}, err
	}
	return LayerPlace{
		PageSize: int(v[0]), NumPages: int(v[1]), Packed: v[2] != 0,
		KPageStride: int(v[3]), KTokenStride: int(v[4]), KHeadStride: int(v[5]),
		VPageStride: int(v[6]), VTokenStride: int(v[7]), VHeadStride: int(v[8]),
		KPages: uintptr(v[9]), VPages: uintptr(v[10]),
	}, nil
}
