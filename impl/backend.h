// What a device can do. Core knows devices only through this; a backend knows no handle.
//
// A `queue` is the device's own (cudaStream_t as void*); the CPU backend completes every call
// before it returns and is given null. Nothing here throws but std::bad_alloc, and a call that
// fails or throws has changed nothing.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "impl/core/layer.h"
#include "impl/core/plan/device_figures.h"
#include "impl/core/plan/work_list.h"
#include "impl/core/result.h"

namespace relayattn {

// A ragged [tokens, heads, dim] view of device memory; strides in bytes, dim is unit-stride. Core
// has resolved "0 = dense" before a backend sees one.
struct View {
    void* data = nullptr;
    int64_t token_stride = 0;
    int64_t head_stride = 0;
};

// Where the pages of one layer lie. With `packed` the backend's own order holds inside a page and
// only the page strides mean anything.
struct PageLayout {
    int64_t page_size = 0;
    bool packed = false;
    int64_t k_page_stride = 0, k_token_stride = 0, k_head_stride = 0;
    int64_t v_page_stride = 0, v_token_stride = 0, v_head_stride = 0;
};

struct LayerPages {
    void* k = nullptr;
    void* v = nullptr;
};

// The storage of one layer, complete: geometry, layout, memory.
struct LayerStore {
    KvGeometry geometry;
    PageLayout layout;
    LayerPages pages;
};

struct AttendCall {
    const Layer* layer = nullptr;
    LayerStore store;
    View q, out;
    View k, v;  // data null: nothing to append
    float* lse = nullptr;
    int64_t lse_token_stride = 0, lse_head_stride = 0;  // in floats
    const float* sink_logits = nullptr;                 // device memory [num_q_heads]
    const float* alibi_slopes = nullptr;                // device memory [num_q_heads]
    float softmax_scale = 1;
    float logit_softcap = 0;
};

struct MergeCall {
    int64_t num_tokens = 0, num_heads = 0, head_dim = 0;
    Dtype in_dtype = Dtype::f32, out_dtype = Dtype::f32;
    bool base2 = false;
    View a, b, out;
    const float* a_lse = nullptr;
    const float* b_lse = nullptr;
    float* out_lse = nullptr;
    int64_t lse_token_stride = 0, lse_head_stride = 0;  // in floats
};

// Upper bounds of every work list that a plan will be given; all at least 1.
struct PlanShape {
    KvGeometry geometry;
    int64_t page_size = 0;
    int64_t max_q_heads = 0;  // over the layers of the group
    int64_t max_tokens = 0;   // query tokens, padded ones included
    int64_t max_sequences = 0;
    int64_t max_items = 0;
    int64_t max_pieces = 0;
    int64_t max_table_entries = 0;
    int64_t max_item_tokens = 0;
    int64_t max_partials = 0;
    bool graph = false;  // attend may be captured once and replayed after later sets
    bool tree = false;   // work lists may have a tree mask
    bool batch_invariant =
        false;  // one kernel form for every item, so that tiles do not change results
};

// Where a row's own tokens end in a work list in which each row has one new token.
struct RowEnd {
    int32_t item;
    int32_t piece;
    int32_t table;  // one past its last page in page_table
    int32_t spare;  // entries kept free after it
};

// The work of one layer group on the device: set once per step, attended once or more per layer.
class DevicePlan {
  public:
    virtual ~DevicePlan() = default;

    // Takes the step's work (copies what it needs: the list may change after it returns). [E]
    virtual Result<void> set(const WorkList& work, void* queue) = 0;

    // The same for the list of the last call with one more token at each row's end, and nothing
    // else changed; `paged`: the rows that have a new page for it. [E]
    virtual Result<void> advance(const WorkList& work, std::span<const RowEnd> ends,
                                 std::span<const int32_t> paged, void* queue) {
        static_cast<void>(ends);
        static_cast<void>(paged);
        return set(work, queue);
    }

    // Appends k, v, attends, writes out and lse. With q.data null it only appends. Neither
    // allocates nor synchronises. [E]
    virtual Result<void> attend(const AttendCall& call, void* queue) = 0;

    // The same by the caller's threads: worker in [0, num_workers); no worker waits for another;
    // the output is complete when all have returned. k, v are null. `slot` names the layer's
    // progress counters, which set() resets. CPU only.
    virtual Result<void> attend_worker(const AttendCall& call, int64_t slot, int64_t worker,
                                       int64_t num_workers) = 0;

    virtual int64_t num_launches() const = 0;  // of one attend
};

struct PlanMemory {
    int64_t scratch = 0, metadata = 0;  // bytes
};

struct PlanBuffers {
    void* scratch = nullptr;  // null = the plan's own
    void* metadata = nullptr;
};

// Pages' memory when the library owns it.
class DeviceMemory {
  public:
    virtual ~DeviceMemory() = default;
    virtual void* data() = 0;
};

// Orders the work that touches one cache's pages across queues: a freed page is reused only by work
// ordered after the work that may still read it.
class QueueOrder {
  public:
    virtual ~QueueOrder() = default;
    virtual Result<void> before(void* queue) = 0;  // queue waits for all work marked so far
    virtual Result<void> after(void* queue) = 0;   // marks the work given to queue so far
};

struct BackendInfo {
    int32_t backend = 0;  // 1 = CPU, 2 = CUDA
    int64_t ordinal = 0;
    int64_t num_threads = 0;
    int64_t isa = 0;
    int64_t sm = 0;
    int64_t page_size = 0;  // best
    bool graphs = false;
};

class Backend {
  public:
    virtual ~Backend() = default;

    virtual BackendInfo info() const = 0;
    virtual DeviceFigures figures(const Layer& layer) const = 0;

    // Whether the layer can be served with pages of this size, else why not.
    virtual Result<void> supports(const Layer& layer, int64_t page_size, bool graph) const = 0;

    // The layout of owned pages, and the bytes that `num_pages` of it take for K and for V.
    virtual PageLayout page_layout(const KvGeometry& geometry, int64_t page_size) const = 0;

    virtual Result<std::unique_ptr<DeviceMemory>> allocate(int64_t bytes) = 0;
    virtual Result<std::unique_ptr<QueueOrder>> create_order() = 0;

    // K, V of tokens [0, slots.size()) of the views to or from the slots (host array; < 0 skips).
    // [E]
    virtual Result<void> write(const LayerStore& store, const View& k, const View& v,
                               std::span<const int64_t> slots, void* queue) = 0;
    virtual Result<void> read(const LayerStore& store, const View& k, const View& v,
                              std::span<const int64_t> slots, void* queue) = 0;

    // Copies slots from -> to in every store, as if all were read before any is written. [E]
    virtual Result<void> copy(std::span<const LayerStore> stores, std::span<const int64_t> from,
                              std::span<const int64_t> to, void* queue) = 0;

    virtual PlanMemory plan_memory(const PlanShape& shape) const = 0;
    // num_layers: how many layers one step attends at most (progress counters of attend_worker).
    virtual Result<std::unique_ptr<DevicePlan>> create_plan(const PlanShape& shape,
                                                            const PlanBuffers& buffers,
                                                            int64_t num_layers) = 0;

    virtual Result<void> merge(const MergeCall& call, void* queue) = 0;
};

struct CpuOptions {
    int64_t num_threads = 0;  // 0 = cores allowed
};
Result<std::unique_ptr<Backend>> create_cpu_backend(const CpuOptions& options);

// Loads the plugin beside the library; Code::device with every reason when there is none.
Result<std::unique_ptr<Backend>> create_cuda_backend(int64_t ordinal);

}  // namespace relayattn
