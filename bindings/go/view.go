package relayattn

import (
	"math"
	"math/bits"
	"unsafe"

	"relayattn/internal/capi"
)

// Element is what slices of tensors hold: float32 for F32, the bits in a uint16 for F16 and BF16.
type Element interface{ ~float32 | ~uint16 }

// View is a tensor [tokens, heads, dim] in memory that stays the caller's. Its zero value means "not
// given". Views are made by [ViewOf] and [ViewAt] and are cheap to copy.
type View struct {
	memory  unsafe.Pointer // a slice's first element, else
	address uintptr        // device memory
	size    int            // of the slice, in bytes
	element int            // of the slice, in bytes
	token   int
	head    int
}

// ViewOf is a view of the slice's elements, dense until [View.Strided] says otherwise: element
// [t, h, d] is s[(t*heads + h)*dim + d]. A nil slice is "not given". For CPU contexts only.
func ViewOf[T Element](s []T) View {
	size := int(unsafe.Sizeof(*new(T)))
	return View{memory: unsafe.Pointer(unsafe.SliceData(s)), size: len(s) * size, element: size}
}

// ViewAt is a view of device memory at an address that a GPU library gave, or, for a CPU context, C
// did; never one of Go memory. How much is there is for the caller to know; nothing checks it.
func ViewAt(address uintptr) View { return View{address: address} }

// Strided is the same memory with the distance in bytes from a token to the next, and from a head to
// the next: positive multiples of the element size, or 0 for dense (heads * dim elements; dim
// elements). So a part of a fused QKV tensor is passed as it is, by a view of the slice from its
// first element on.
func (v View) Strided(token, head int) View {
	v.token, v.head = token, head
	return v
}

// Vector is one or more float32 numbers, read or written. Its zero value means "not given". Vectors
// are made by [VectorOf] and [VectorAt].
type Vector struct {
	memory  unsafe.Pointer
	address uintptr
	length  int
}

// VectorOf is a vector in a slice. A nil slice is "not given". For CPU contexts only.
func VectorOf(s []float32) Vector {
	return Vector{memory: unsafe.Pointer(unsafe.SliceData(s)), length: len(s)}
}

// VectorAt is a vector in device memory; see [ViewAt].
func VectorAt(address uintptr) Vector { return Vector{address: address} }

func (v *View) capi() capi.Memory {
	return capi.Memory{
		Go: v.memory, Address: v.address, TokenStride: int64(v.token), HeadStride: int64(v.head),
	}
}

func (v *Vector) capi(token, head int) capi.Memory {
	return capi.Memory{
		Go: v.memory, Address: v.address, TokenStride: int64(token), HeadStride: int64(head),
	}
}

// shape is what a call needs a view to be.
type shape struct {
	tokens, heads, dim int
	dtype              DType
}

// legal tells whether the library would accept the sizes, whose products then fit an int.
func (s *shape) legal() bool {
	const most = 1<<31 - 1
	return s.tokens >= 0 && s.heads > 0 && s.dim > 0 &&
		s.tokens <= most && s.heads <= most && s.dim <= most
}

// check refuses a slice that is too short for the shape, of another element size, or out of the
// device's reach. It leaves to the library what that refuses before it touches memory: sizes and
// strides out of their bounds.
func (v *View) check(call, name string, on Backend, s shape) error {
	if v.memory == nil || s.dtype.size() == 0 {
		return nil
	}
	if on == CUDABackend {
		return noSlices(call, name)
	}
	if v.element != s.dtype.size() {
		return badArgument("%s: %s has elements of %d bytes; its dtype has %d", call, name, v.element,
			s.dtype.size())
	}
	token, head := v.token, v.head
	if token < 0 || head < 0 || !s.legal() {
		return nil
	}
	if head == 0 {
		head = s.dim * v.element
	}
	if token == 0 {
		token = int(min(uint64(s.heads)*uint64(s.dim), 1<<60) * uint64(v.element))
	}
	if needed := extent(s.tokens, token, s.heads, head, s.dim*v.element); needed > v.size {
		return badArgument("%s: %s has %d bytes; [%d, %d, %d] with strides of %d and %d bytes needs %d",
			call, name, v.size, s.tokens, s.heads, s.dim, token, head, needed)
	}
	return nil
}

// check is that of a view. Strides are in floats, and as the library has them: 0 means dense.
func (v *Vector) check(call, name string, on Backend, tokens, token, heads, head int) error {
	if v.memory == nil || token < 0 || head < 0 {
		return nil
	}
	if on == CUDABackend {
		return noSlices(call, name)
	}
	if head == 0 {
		head = 1
	}
	if token == 0 {
		token = heads
	}
	if needed := extent(tokens, token, heads, head, 1); needed > v.length {
		return badArgument("%s: %s has %d floats; [%d, %d] with strides of %d and %d floats needs %d",
			call, name, v.length, tokens, heads, token, head, needed)
	}
	return nil
}

func noSlices(call, name string) error {
	return badArgument("%s: %s is a slice; the context is a GPU's and needs device memory", call, name)
}

// extent is how far rows of heads of last units reach, or the largest int if that is more than 2^60 in
// one direction. Its arguments are not negative.
func extent(tokens, token, heads, head, last int) int {
	if tokens <= 0 || heads <= 0 {
		return 0
	}
	carry1, rows := bits.Mul64(uint64(tokens-1), uint64(token))
	carry2, columns := bits.Mul64(uint64(heads-1), uint64(head))
	const limit = 1 << 60
	if carry1 != 0 || carry2 != 0 || rows > limit || columns > limit || last > limit {
		return math.MaxInt
	}
	return int(rows) + int(columns) + last
}
