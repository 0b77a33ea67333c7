#include "impl/cuda/plan.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "impl/cuda/error.h"
#include "impl/cuda/pages.h"

namespace relayattn::cuda {
namespace {

constexpr int64_t k_buffer_alignment = 16;

int64_t partial_o_bytes(const PlanShape& shape) {
    return shape.max_partials * shape.max_q_heads * shape.geometry.head_dim_v *
           static_cast<int64_t>(sizeof(float));
}

Result<void> check_fits(const WorkList& work, const PlanShape& shape) {
    struct Bound {
        const char* name;
        int64_t value, most;
    };
    const auto size = [](const auto& values) { return static_cast<int64_t>(values.size()); };
    for (const Bound& bound :
         {Bound{"tokens", size(work.tokens) + work.padded_tokens, shape.max_tokens},
          Bound{"items", size(work.items), shape.max_items},
          Bound{"pieces", size(work.pieces), shape.max_pieces},
          Bound{"page table entries", size(work.page_table), shape.max_table_entries},
          Bound{"item tokens", size(work.item_tokens), shape.max_item_tokens},
          Bound{"partials", work.num_partials, shape.max_partials},
          Bound{"partial indexes", size(work.partial_index), shape.max_partials}})
        if (bound.value > bound.most)
            return error(Code::argument, "the step has ", bound.value, " ", bound.name,
                         "; the plan has room for ", bound.most);
    return {};
}

Result<void> check_buffer(const char* name, const void* data) {
    if (reinterpret_cast<uintptr_t>(data) % k_buffer_alignment != 0)
        return error(Code::argument, name, " is ", data, "; it must be a multiple of ",
                     k_buffer_alignment);
    return {};
}

ItemTokens most_item_tokens(const WorkList& work) {
    const auto most = [](std::span<const Item> items) {
        int32_t tokens = 0;
        for (const Item& item : items)
            tokens = std::max(tokens, item.num_tokens);
        return int64_t{tokens};
    };
    const std::span<const Item> items(work.items);
    const auto num_many = static_cast<size_t>(work.num_many);
    return {most(items.subspan(num_many)), most(items.first(num_many))};
}

Strided strided(const View& view, Dtype dtype) {
    const int64_t size = size_of(dtype);
    return {view.data, view.token_stride / size, view.head_stride / size};
}

Result<void> check_strides(const char* name, const View& view, Dtype dtype) {
    const int64_t size = size_of(dtype);
    if (view.token_stride % size != 0 || view.head_stride % size != 0)
        return error(Code::argument, name, " has strides ", view.token_stride, " and ",
                     view.head_stride, "; they must be multiples of its element's ", size,
                     " bytes");
    return {};
}

// No graph keeps its pointers: one step's list can lie without gaps, and be sent in one copy.
PlanShape tight(PlanShape shape, const WorkList& work) {
    shape.max_tokens = work.num_tokens();
    return shape;
}

}  // namespace

PlanMemory memory_of(const PlanShape& shape) {
    PlanMemory memory;
    memory.scratch = partial_o_bytes(shape) +
                     shape.max_partials * shape.max_q_heads * static_cast<int64_t>(sizeof(float));
    memory.metadata = WorkLayout(shape).size();
    return memory;
}

CudaPlan::CudaPlan(SharedGpu gpu, const Kernels& kernels, const PlanShape& shape)
    : gpu_(std::move(gpu)), kernels_(kernels), shape_(shape), layout_(shape) {}

Result<std::unique_ptr<DevicePlan>> CudaPlan::make(const SharedGpu& gpu, const Kernels& kernels,
                                                   const PlanShape& shape,
                                                   const PlanBuffers& buffers) {
    std::unique_ptr<CudaPlan> plan(new CudaPlan(gpu, kernels, shape));
    const Result<void> allocated = plan->allocate(buffers);
    if (!allocated)
        return allocated.error();
    return std::unique_ptr<DevicePlan>(std::move(plan));
}

Result<void> CudaPlan::allocate(const PlanBuffers& buffers) {
    const PlanMemory memory = memory_of(shape_);
    const auto choose = [&](const char* name, void* given, int64_t bytes, DeviceBlock& own,
                            char*& chosen) -> Result<void> {
        chosen = static_cast<char*>(given);
        if (given != nullptr)
            return check_buffer(name, given);
        Result<DeviceBlock> block = DeviceBlock::make(gpu_, bytes);
        if (!block)
            return block.error();
        own = std::move(*block);
        chosen = own.data();
        return {};
    };
    Result<void> chosen =
        choose("scratch", buffers.scratch, memory.scratch, own_scratch_, scratch_);
    if (chosen)
        chosen = choose("metadata", buffers.metadata, memory.metadata, own_metadata_, metadata_);
    if (!chosen)
        return chosen;
    Result<StagingRing> staging = StagingRing::make(gpu_, memory.metadata);
    if (!staging)
        return staging.error();
    staging_ = std::move(*staging);
    return {};
}

Result<void> CudaPlan::set(const WorkList& work, void* queue) {
    const Gpu::Current current(*gpu_);
    const Result<void> fits = check_fits(work, shape_);
    if (!fits)
        return fits;
    if (!shape_.graph)
        layout_ = WorkLayout(tight(shape_, work));
    const Result<StagingRing::Place> place = staging_.next(stream_of(queue));
    if (!place)
        return place.error();
    parts_ = layout_.pack(work, place->data);
    last_set_ = *place->note = ++version_;
    paged_.clear();
    paged_in_.clear();
    paged_.reserve(work.tokens.size());  // a row has one spare entry: advance() allocates nothing
    paged_in_.reserve(work.tokens.size());
    const Result<void> sent = send(place->data, stream_of(queue));
    if (!sent)
        return sent;
    counts_ = counts_of(work);
    item_tokens_ = most_item_tokens(work);
    merged_partials_ = static_cast<int32_t>(work.partial_index.size());
    return {};
}

Result<void> CudaPlan::advance(const WorkList& work, std::span<const RowEnd> ends,
                               std::span<const int32_t> paged, void* queue) {
    const Gpu::Current current(*gpu_);
    const Result<StagingRing::Place> place = staging_.next(stream_of(queue));
    if (!place)
        return place.error();
    ++version_;
    paged_.insert(paged_.end(), paged.begin(), paged.end());
    paged_in_.insert(paged_in_.end(), paged.size(), version_);
    if (*place->note < last_set_) {
        layout_.pack(work, place->data);
    } else {
        const auto missed = std::upper_bound(paged_in_.begin(), paged_in_.end(), *place->note);
        const auto from = static_cast<size_t>(missed - paged_in_.begin());
        layout_.patch(work, ends, std::span(paged_).subspan(from), place->data);
    }
    *place->note = version_;
    return send(place->data, stream_of(queue));
}

Result<void> CudaPlan::send(const char* from, cudaStream_t stream) {
    Result<void> sent;
    for (const Stretch& part : parts_.list()) {
        if (sent)
            sent = check(cudaMemcpyAsync(metadata_ + part.begin, from + part.begin,
                                         static_cast<size_t>(part.end - part.begin),
                                         cudaMemcpyHostToDevice, stream),
                         "cudaMemcpyAsync");
    }
    const Result<void> marked = staging_.sent(stream);
    return sent ? marked : sent;
}

AttendParams CudaPlan::params_of(const AttendCall& call) const {
    const Layer& layer = *call.layer;
    const PageLayout& layout = call.store.layout;
    const int64_t size = size_of(layer.kv.dtype);
    AttendParams params{};
    params.work = layout_.at(metadata_);
    params.work.partial_o = reinterpret_cast<float*>(scratch_);
    params.work.partial_lse = reinterpret_cast<float*>(scratch_ + partial_o_bytes(shape_));
    params.q = strided(call.q, layer.q_dtype);
    params.out = strided(call.out, layer.out_dtype);
    params.k = strided(call.k, layer.kv.dtype);
    params.v = strided(call.v, layer.kv.dtype);
    params.k_pages = {call.store.pages.k, layout.k_page_stride / size, layout.k_token_stride / size,
                      layout.k_head_stride / size};
    params.v_pages = {call.store.pages.v, layout.v_page_stride / size, layout.v_token_stride / size,
                      layout.v_head_stride / size};
    params.lse = call.lse;
    params.lse_token_stride = call.lse_token_stride;
    params.lse_head_stride = call.lse_head_stride;
    params.sink_logits = call.sink_logits;
    params.alibi_slopes = call.alibi_slopes;
    params.softmax_scale = call.softmax_scale;
    params.logit_softcap = call.logit_softcap;
    params.num_q_heads = static_cast<int32_t>(layer.num_q_heads);
    params.num_kv_heads = static_cast<int32_t>(layer.kv.num_kv_heads);
    params.head_dim_k = static_cast<int32_t>(layer.kv.head_dim_k);
    params.head_dim_v = static_cast<int32_t>(layer.kv.head_dim_v);
    params.page_size = static_cast<int32_t>(layout.page_size);
    params.q_dtype = layer.q_dtype;
    params.kv_dtype = layer.kv.dtype;
    params.out_dtype = layer.out_dtype;
    return params;
}

// A graph may be replayed after any later set(): its launches must suit them all.
LaunchBounds CudaPlan::bounds(const Layer& layer) const {
    LaunchBounds bounds{};
    bounds.num_sms = gpu_->num_sms();
    bounds.replayed = shape_.graph;
    bounds.tree = shape_.graph ? shape_.tree : counts_.tree_mask != nullptr;
    bounds.max_items = static_cast<int32_t>(shape_.max_items);
    bounds.num_many = counts_.num_many;
    bounds.num_few = counts_.num_items - counts_.num_many;
    const auto max_tokens = static_cast<int32_t>(shape_.max_tokens);
    bounds.num_tokens = shape_.graph ? max_tokens : counts_.num_tokens;
    bounds.num_merged = counts_.num_merged;
    bounds.padded_tokens = counts_.padded_tokens;
    bounds.merged_partials = merged_partials_;
    bounds.many_rows = static_cast<int32_t>(std::min<int64_t>(
        item_tokens_.many * layer.group_size(), std::numeric_limits<int32_t>::max()));
    return bounds;
}

// Kernels trust the work list to keep to the figures that it was planned with.
Result<void> CudaPlan::check_rows(const KernelFamily& family, const Layer& layer) const {
    if (family.takes_any_rows)
        return {};
    const DeviceFigures figures = family.figures(layer, gpu_->num_sms());
    const int64_t few = item_tokens_.few * layer.group_size();
    const int64_t many = item_tokens_.many * layer.group_size();
    if (few > figures.few_rows || many > figures.tile_rows)
        return error(Code::internal, "the plan has items of ", few, " and ", many, " rows; the ",
                     family.name, " kernels take ", figures.few_rows, " and ", figures.tile_rows);
    return {};
}

Result<void> CudaPlan::attend(const AttendCall& call, void* queue) {
    const Layer& layer = *call.layer;
    if (!(layer.kv == shape_.geometry) || layer.num_q_heads > shape_.max_q_heads)
        return error(Code::internal, "the layer does not belong to the plan's layer group");
    for (const Result<void>& checked :
         {check_strides("q", call.q, layer.q_dtype),
          check_strides("out", call.out, layer.out_dtype),
          check_strides("k", call.k, layer.kv.dtype), check_strides("v", call.v, layer.kv.dtype)})
        if (!checked)
            return checked;
    const Gpu::Current current(*gpu_);
    const AttendParams params = params_of(call);
    if (call.q.data == nullptr) {  // the new tokens are appended, nothing is asked
        launch_append(params, bounds(layer), stream_of(queue));
        num_launches_ = 1;
        return check_launch("append");
    }
    // The fast kernels let a row's sums depend on the rows beside it in a tile.
    const KernelFamily& family = shape_.batch_invariant ? Kernels::general() : kernels_.of(params);
    const Result<void> rows = check_rows(family, layer);
    if (!rows)
        return rows;
    family.launch(params, bounds(layer), stream_of(queue));
    num_launches_ = family.num_launches;
    return check_launch("attend");
}

Result<void> CudaPlan::attend_worker(const AttendCall&, int64_t, int64_t, int64_t) {
    return error(Code::unsupported, "attend_worker runs on CPU contexts only");
}

}  // namespace relayattn::cuda
