package capi

/*
#include "failure.h"

// Memory is Go's, or the device's at an address; the other one is 0. It comes as a uint8_t*, since
// cgo pins a pointer of that type and does not look for pointers around it.
typedef uint8_t* memory;

static void* either(memory m, uintptr_t address) { return m != NULL ? m : (void*)address; }

static ra_view view(memory m, uintptr_t address, int64_t token_stride, int64_t head_stride) {
	ra_view v = {either(m, address), token_stride, head_stride};
	return v;
}

static const relayattn_failure* prefix_copy(
	int writes, uintptr_t p, int64_t layer, int64_t pos, int64_t num_tokens,
	memory k, uintptr_t k_at, int64_t k_token, int64_t k_head,
	memory v, uintptr_t v_at, int64_t v_token, int64_t v_head, uintptr_t queue) {
	ra_kv kv = {.struct_size = sizeof kv};
	kv.k = view(k, k_at, k_token, k_head);
	kv.v = view(v, v_at, v_token, v_head);
	kv.num_tokens = num_tokens;
	return relayattn_fail(
		writes ? ra_prefix_write((ra_prefix)p, layer, pos, &kv, (void*)queue)
		       : ra_prefix_read((ra_prefix)p, layer, pos, &kv, (void*)queue));
}

static const relayattn_failure* sequence_pages(
	uintptr_t s, int64_t group, int32_t* pages, int64_t max_pages, int64_t* num_out) {
	return relayattn_fail(ra_sequence_pages((ra_sequence)s, group, pages, max_pages, num_out));
}

// pages_out null: ra_batch_begin; else ra_batch_pages_needed.
static const relayattn_failure* batch_input(
	uintptr_t b, const uintptr_t* sequences, int64_t num_sequences, const int64_t* q_lens,
	int64_t num_q_lens, const int64_t* row_flags, int64_t num_row_flags, memory tree_mask,
	uintptr_t tree_mask_at, int64_t tree_stride, const int64_t* spans, int64_t num_spans,
	int64_t padded_tokens, int64_t group, int64_t* pages_out, uintptr_t queue) {
	ra_batch_input input = {.struct_size = sizeof input};
	input.sequences = (const ra_sequence*)sequences;
	input.num_sequences = num_sequences;
	input.q_lens = q_lens;
	input.num_q_lens = num_q_lens;
	input.row_flags = row_flags;
	input.num_row_flags = num_row_flags;
	input.tree_mask = (const uint8_t*)either(tree_mask, tree_mask_at);
	input.tree_stride = tree_stride;
	input.spans = spans;
	input.num_spans = num_spans;
	input.padded_tokens = padded_tokens;
	return relayattn_fail(
		pages_out != NULL ? ra_batch_pages_needed((ra_batch)b, &input, group, pages_out)
		                  : ra_batch_begin((ra_batch)b, &input, (void*)queue));
}

// num_workers 0: ra_batch_attend.
static const relayattn_failure* batch_attend(
	uintptr_t b, int64_t layer, int64_t worker, int64_t num_workers,
	memory q, uintptr_t q_at, int64_t q_token, int64_t q_head,
	memory out, uintptr_t out_at, int64_t out_token, int64_t out_head,
	memory k, uintptr_t k_at, int64_t k_token, int64_t k_head,
	memory v, uintptr_t v_at, int64_t v_token, int64_t v_head,
	memory lse, uintptr_t lse_at, int64_t lse_token, int64_t lse_head,
	memory sinks, uintptr_t sinks_at, memory slopes, uintptr_t slopes_at,
	float softmax_scale, float logit_softcap, uintptr_t queue) {
	ra_attend_args a = {.struct_size = sizeof a};
	a.q = view(q, q_at, q_token, q_head);
	a.out = view(out, out_at, out_token, out_head);
	a.k = view(k, k_at, k_token, k_head);
	a.v = view(v, v_at, v_token, v_head);
	a.lse = (float*)either(lse, lse_at);
	a.lse_token_stride = lse_token;
	a.lse_head_stride = lse_head;
	a.sink_logits = (const float*)either(sinks, sinks_at);
	a.alibi_slopes = (const float*)either(slopes, slopes_at);
	a.softmax_scale = softmax_scale;
	a.logit_softcap = logit_softcap;
	return relayattn_fail(
		num_workers == 0
			? ra_batch_attend((ra_batch)b, layer, &a, (void*)queue)
			: ra_batch_attend_worker((ra_batch)b, layer, &a, worker, num_workers));
}

static const relayattn_failure* batch_commit(
	uintptr_t b, const int64_t* kept, int64_t num_kept, const int64_t* index, int64_t num_index,
	uintptr_t queue) {
	return relayattn_fail(
		ra_batch_commit((ra_batch)b, kept, num_kept, index, num_index, (void*)queue));
}

static const relayattn_failure* merge_state(
	uintptr_t c, int64_t num_tokens, int64_t num_heads, int64_t head_dim, int32_t in_dtype,
	int32_t out_dtype, int32_t lse_base2,
	memory a, uintptr_t a_at, int64_t a_token, int64_t a_head,
	memory b, uintptr_t b_at, int64_t b_token, int64_t b_head,
	memory out, uintptr_t out_at, int64_t out_token, int64_t out_head,
	memory a_lse, uintptr_t a_lse_at, memory b_lse, uintptr_t b_lse_at,
	memory out_lse, uintptr_t out_lse_at, int64_t lse_token, int64_t lse_head, uintptr_t queue) {
	ra_merge_args m = {.struct_size = sizeof m};
	m.num_tokens = num_tokens;
	m.num_heads = num_heads;
	m.head_dim = head_dim;
	m.in_dtype = in_dtype;
	m.out_dtype = out_dtype;
	m.lse_base2 = lse_base2;
	m.a = view(a, a_at, a_token, a_head);
	m.b = view(b, b_at, b_token, b_head);
	m.out = view(out, out_at, out_token, out_head);
	m.a_lse = (const float*)either(a_lse, a_lse_at);
	m.b_lse = (const float*)either(b_lse, b_lse_at);
	m.out_lse = (float*)either(out_lse, out_lse_at);
	m.lse_token_stride = lse_token;
	m.lse_head_stride = lse_head;
	return relayattn_fail(ra_merge_state((ra_context)c, &m, (void*)queue));
}
*/
import "C"

import "unsafe"

// Memory is the start of a tensor or a vector: in Go memory, or else at an address. Strides are
// those of the C struct that it goes to.
type Memory struct {
	Go                      unsafe.Pointer
	Address                 uintptr
	TokenStride, HeadStride int64
}

func bits(failure *C.relayattn_failure) int64 {
	return int64(uintptr(unsafe.Pointer(failure)))
}

func numbers(p *int64) *C.int64_t { return (*C.int64_t)(unsafe.Pointer(p)) }

// PrefixCopy is ra_prefix_write, or ra_prefix_read if writes is false.
func PrefixCopy(writes bool, p uintptr, layer, pos, numTokens int64, k, v *Memory, queue uintptr) int64 {
	direction := C.int(0)
	if writes {
		direction = 1
	}
	return bits(C.prefix_copy(
		direction, C.uintptr_t(p), C.int64_t(layer), C.int64_t(pos), C.int64_t(numTokens),
		C.memory(k.Go), C.uintptr_t(k.Address), C.int64_t(k.TokenStride), C.int64_t(k.HeadStride),
		C.memory(v.Go), C.uintptr_t(v.Address), C.int64_t(v.TokenStride), C.int64_t(v.HeadStride),
		C.uintptr_t(queue)))
}

// SequencePages is ra_sequence_pages.
func SequencePages(s uintptr, group int64, pages []int32, numOut *int64) int64 {
	return bits(C.sequence_pages(
		C.uintptr_t(s), C.int64_t(group), (*C.int32_t)(unsafe.Pointer(unsafe.SliceData(pages))),
		C.int64_t(len(pages)), numbers(numOut)))
}

// Input is an ra_batch_input.
type Input struct {
	Sequences             []uintptr
	QLens, RowFlags       *int64
	NumQLens, NumRowFlags int64
	TreeMask              Memory
	TreeStride            int64
	Spans                 *int64
	NumSpans              int64
	PaddedTokens          int64
}

// BatchBegin is ra_batch_begin.
func BatchBegin(b uintptr, in *Input, queue uintptr) int64 {
	return batchInput(b, in, 0, nil, queue)
}

// BatchPagesNeeded is ra_batch_pages_needed.
func BatchPagesNeeded(b uintptr, in *Input, group int64, pagesOut *int64) int64 {
	return batchInput(b, in, group, pagesOut, 0)
}

func batchInput(b uintptr, in *Input, group int64, pagesOut *int64, queue uintptr) int64 {
	sequences := (*C.uintptr_t)(unsafe.Pointer(unsafe.SliceData(in.Sequences)))
	return bits(C.batch_input(
		C.uintptr_t(b), sequences, C.int64_t(len(in.Sequences)),
		numbers(in.QLens), C.int64_t(in.NumQLens), numbers(in.RowFlags), C.int64_t(in.NumRowFlags),
		C.memory(in.TreeMask.Go), C.uintptr_t(in.TreeMask.Address), C.int64_t(in.TreeStride),
		numbers(in.Spans), C.int64_t(in.NumSpans), C.int64_t(in.PaddedTokens),
		C.int64_t(group), numbers(pagesOut), C.uintptr_t(queue)))
}

// Attend is an ra_attend_args.
type Attend struct {
	Q, Out, K, V, LSE, Sinks, Slopes Memory
	SoftmaxScale, LogitSoftcap       float32
}

// BatchAttend is ra_batch_attend, or ra_batch_attend_worker if numWorkers is not 0.
func BatchAttend(b uintptr, layer int64, a *Attend, worker, numWorkers int64, queue uintptr) int64 {
	return bits(C.batch_attend(
		C.uintptr_t(b), C.int64_t(layer), C.int64_t(worker), C.int64_t(numWorkers),
		C.memory(a.Q.Go), C.uintptr_t(a.Q.Address),
		C.int64_t(a.Q.TokenStride), C.int64_t(a.Q.HeadStride),
		C.memory(a.Out.Go), C.uintptr_t(a.Out.Address),
		C.int64_t(a.Out.TokenStride), C.int64_t(a.Out.HeadStride),
		C.memory(a.K.Go), C.uintptr_t(a.K.Address),
		C.int64_t(a.K.TokenStride), C.int64_t(a.K.HeadStride),
		C.memory(a.V.Go), C.uintptr_t(a.V.Address),
		C.int64_t(a.V.TokenStride), C.int64_t(a.V.HeadStride),
		C.memory(a.LSE.Go), C.uintptr_t(a.LSE.Address),
		C.int64_t(a.LSE.TokenStride), C.int64_t(a.LSE.HeadStride),
		C.memory(a.Sinks.Go), C.uintptr_t(a.Sinks.Address),
		C.memory(a.Slopes.Go), C.uintptr_t(a.Slopes.Address),
		C.float(a.SoftmaxScale), C.float(a.LogitSoftcap), C.uintptr_t(queue)))
}

// BatchCommit is ra_batch_commit.
func BatchCommit(b uintptr, kept *int64, numKept int64, index *int64, numIndex int64, queue uintptr) int64 {
	return bits(C.batch_commit(
		C.uintptr_t(b), numbers(kept), C.int64_t(numKept), numbers(index), C.int64_t(numIndex),
		C.uintptr_t(queue)))
}

// Merge is an ra_merge_args.
type Merge struct {
	NumTokens, NumHeads, HeadDim  int64
	InDType, OutDType, LSEBase2   int32
	A, B, Out, ALSE, BLSE, OutLSE Memory
	LSETokenStride, LSEHeadStride int64
}

// MergeState is ra_merge_state.
func MergeState(c uintptr, m *Merge, queue uintptr) int64 {
	return bits(C.merge_state(
		C.uintptr_t(c), C.int64_t(m.NumTokens), C.int64_t(m.NumHeads), C.int64_t(m.HeadDim),
		C.int32_t(m.InDType), C.int32_t(m.OutDType), C.int32_t(m.LSEBase2),
		C.memory(m.A.Go), C.uintptr_t(m.A.Address),
		C.int64_t(m.A.TokenStride), C.int64_t(m.A.HeadStride),
		C.memory(m.B.Go), C.uintptr_t(m.B.Address),
		C.int64_t(m.B.TokenStride), C.int64_t(m.B.HeadStride),
		C.memory(m.Out.Go), C.uintptr_t(m.Out.Address),
		C.int64_t(m.Out.TokenStride), C.int64_t(m.Out.HeadStride),
		C.memory(m.ALSE.Go), C.uintptr_t(m.ALSE.Address),
		C.memory(m.BLSE.Go), C.uintptr_t(m.BLSE.Address),
		C.memory(m.OutLSE.Go), C.uintptr_t(m.OutLSE.Address),
		C.int64_t(m.LSETokenStride), C.int64_t(m.LSEHeadStride), C.uintptr_t(queue)))
}
