// Package relayattn keeps key/value caches with shared prefixes, and computes exact attention over
// them.
//
// A service answers many requests that begin with the same long prompt. Plain attention reads that
// prompt's keys and values (K and V) from memory once per request at every step. This package keeps
// them once and reads them once per step for all requests together, by the method of
// RelayAttention (Zhu, Wang, Zhang, Lau, ACL 2024). The result is exact.
//
// # Objects
//
//	Context               one device: its threads, its log
//	 |   Model            what every layer looks like (copied into caches)
//	 |    |
//	Cache                 pages of K and V, for every layer of the model
//	 |-- Prefix           tokens that many share; written, sealed, then never changed
//	 |    |-- Prefix      goes on from its parent: prefixes form a tree
//	 |    `-- Sequence    one request: its prefix's tokens, then its own growing tail
//	 `-- Batch            one step of many sequences; used again for every step
//
// A step is [Batch.Begin], which reserves pages and plans; [Batch.Attend] once for each layer, which
// appends the new tokens' K and V and computes their attention; and [Batch.Commit], which makes the
// new tokens part of their sequences, or [Batch.Abort], which forgets them. The caller computes q, k
// and v (with position embedding already applied), and everything else of the network.
//
// # What is computed
//
// A token's position is its index in its sequence's chain of tokens, counted from the root prefix.
// The query at position i sees the keys at 0 .. i, unless a window, a span, a tree mask or a row
// flag says otherwise. The score of a visible key is, in this order:
//
//	s = scale * (q . k)              scale: the call's, else the layer's, else 1/sqrt(HeadDimK)
//	s = cap * tanh(s / cap)          if a soft-cap is given
//	s = s - slope[h] * |p - i|       if the layer uses ALiBi
//
// then follows a softmax over the visible keys, with one more term e^sink[h] in its sum if the layer
// uses sinks. Query head h reads KV head h / (NumQHeads / NumKVHeads). LSEs are natural logarithms
// of the softmax's sum, in float32. A query that sees no key gets out = 0 and LSE = -Inf. Against
// float64, float32 results are within a relative error of 1e-6; results in bfloat16 and float16 have
// at most 10 % more error than rounding the exact result has.
//
// # Tensors
//
// Tensors are ragged, [tokens, heads, dim], and dim is dense. A [View] names one in place: a slice
// by [ViewOf], or device memory by [ViewAt]. Nothing is copied. On a CPU context "device memory" is
// ordinary memory; on a CUDA context slices are refused, since no GPU reads them. Slices are
// checked against the shape that the call needs, so a short one is an error and never a crash;
// addresses cannot be checked. The rows of q, out, k and v of a step are the new tokens of its first
// sequence, then those of its second, and so on. Strides are in bytes, LSE strides in floats; counts,
// positions and lengths are in tokens. float16 and bfloat16 elements are their bits in a uint16.
//
// # Ownership
//
// Each object is closed by its Close, any number of times, from any goroutine, in any order and
// during any call: objects keep alive what they need. A cache lives on under its prefixes and
// sequences, a prefix under its children and sequences, and pages return when the last of these is
// closed. Calls on a closed object fail with [ErrClosed]. An object that becomes unreachable is
// closed by the garbage collector at some later time, which is a backstop only: the collector does
// not see how many pages a Sequence holds.
//
// # Errors
//
// Every error is an [*Error] with the library's code and text, and matches one of the Err variables
// by [errors.Is]. A call that fails leaves every object as it was; after [ErrDevice] the contents of
// buffers that it was to write are unspecified. Any call may fail with [ErrClosed], [ErrOutOfMemory],
// [ErrInternal], on a CUDA context [ErrDevice], and with [ErrArgument] for a nil argument, a slice that
// is too short or one of the wrong element type. Methods name their other errors.
//
// # Goroutines
//
// Every method may be called from any goroutine. Calls on one cache's prefixes and sequences take
// turns inside, and so do calls that compute on one CPU context. A Batch is used by one goroutine at
// a time: a second one gets [ErrBusy] at once; only [Batch.AttendWorker] may run several times at
// once. A call that computes keeps its thread until it is done; it does not yield to the scheduler.
//
// # Queues
//
// A queue is a cudaStream_t as a uintptr, 0 for the default stream, and must be 0 on a CPU context.
// With a CUDA context, methods that take a queue order their work on it and may return before that
// work is done: leave the buffers alone until the queue has passed it. On the CPU everything is done
// when the call returns.
//
// The C header, relayattn/relayattn.h, is the manual of the library, and has every rule in full.
package relayattn
