#include "impl/cuda/backend.h"

#include <utility>

#include "impl/cuda/error.h"
#include "impl/cuda/finish.h"
#include "impl/cuda/plan.h"
#include "impl/cuda/queue_order.h"

namespace relayattn::cuda {
namespace {

constexpr int64_t k_best_page_size = 64;

int64_t bytes_of(std::span<const int64_t> slots) {
    return static_cast<int64_t>(slots.size_bytes());
}

int32_t row_bytes(const LayerStore& store, int64_t dim) {
    return static_cast<int32_t>(dim * size_of(store.geometry.dtype));
}

}  // namespace

Result<std::unique_ptr<Backend>> create_backend(int64_t ordinal) {
    Result<Gpu> gpu = Gpu::open(ordinal);
    if (!gpu)
        return gpu.error();
    const auto shared = std::make_shared<const Gpu>(std::move(*gpu));
    const Gpu::Current current(*shared);
    const RelaxedCapture relaxed;
    const Result<Kernels> kernels = Kernels::load(*shared);
    if (!kernels)
        return kernels.error();
    return std::unique_ptr<Backend>(std::make_unique<CudaBackend>(shared, *kernels));
}

CudaBackend::CudaBackend(SharedGpu gpu, const Kernels& kernels)
    : gpu_(gpu), kernels_(kernels), uploads_(gpu), page_copy_(gpu) {}

BackendInfo CudaBackend::info() const {
    BackendInfo info;
    info.backend = 2;
    info.ordinal = gpu_->ordinal();
    info.sm = gpu_->sm();
    info.page_size = k_best_page_size;
    info.graphs = true;
    return info;
}

DeviceFigures CudaBackend::figures(const Layer& layer) const {
    return kernels_.of(layer).figures(layer, gpu_->num_sms());
}

Result<void> CudaBackend::supports(const Layer&, int64_t page_size, bool) const {
    if (page_size < 1)
        return error(Code::argument, "page_size is ", page_size, "; it must be at least 1");
    return {};
}

PageLayout CudaBackend::page_layout(const KvGeometry& geometry, int64_t page_size) const {
    const int64_t size = size_of(geometry.dtype);
    PageLayout layout;
    layout.page_size = page_size;
    layout.k_head_stride = geometry.head_dim_k * size;
    layout.k_token_stride = geometry.num_kv_heads * layout.k_head_stride;
    layout.k_page_stride = page_size * layout.k_token_stride;
    layout.v_head_stride = geometry.head_dim_v * size;
    layout.v_token_stride = geometry.num_kv_heads * layout.v_head_stride;
    layout.v_page_stride = page_size * layout.v_token_stride;
    return layout;
}

Result<std::unique_ptr<DeviceMemory>> CudaBackend::allocate(int64_t bytes) {
    return allocate_pages(gpu_, bytes);
}

Result<std::unique_ptr<QueueOrder>> CudaBackend::create_order() {
    return std::unique_ptr<QueueOrder>(std::make_unique<CudaQueueOrder>(gpu_));
}

Result<void> CudaBackend::write(const LayerStore& store, const View& k, const View& v,
                                std::span<const int64_t> slots, void* queue) {
    return transfer(true, store, k, v, slots, queue);
}

Result<void> CudaBackend::read(const LayerStore& store, const View& k, const View& v,
                               std::span<const int64_t> slots, void* queue) {
    return transfer(false, store, k, v, slots, queue);
}

Result<void> CudaBackend::transfer(bool into_pages, const LayerStore& store, const View& k,
                                   const View& v, std::span<const int64_t> slots, void* queue) {
    if (slots.empty())
        return {};
    const Gpu::Current current(*gpu_);
    const RelaxedCapture relaxed;
    const auto move = [&](const Rows& pages, const Rows& view, int64_t dim) {
        return Move{into_pages ? pages : view, into_pages ? view : pages,
                    static_cast<int32_t>(store.geometry.num_kv_heads), row_bytes(store, dim)};
    };
    const Move moves[2] = {move(k_rows(store), rows_of(k), store.geometry.head_dim_k),
                           move(v_rows(store), rows_of(v), store.geometry.head_dim_v)};
    return uploads_.with(slots.data(), bytes_of(slots), stream_of(queue), [&](const char* copy) {
        const auto* device = reinterpret_cast<const int64_t*>(copy);
        MoveSlots where;
        (into_pages ? where.to : where.from) = device;
        where.count = static_cast<int64_t>(slots.size());
        launch_moves(moves, where, stream_of(queue));
        return check_launch(into_pages ? "write" : "read");
    });
}

Result<void> CudaBackend::copy(std::span<const LayerStore> stores, std::span<const int64_t> from,
                               std::span<const int64_t> to, void* queue) {
    if (stores.empty() || from.empty())
        return {};
    const Gpu::Current current(*gpu_);
    const RelaxedCapture relaxed;
    std::vector<int64_t> slots(from.begin(), from.end());
    slots.insert(slots.end(), to.begin(), to.end());
    return uploads_.with(slots.data(), bytes_of(slots), stream_of(queue), [&](const char* copy) {
        const auto* device = reinterpret_cast<const int64_t*>(copy);
        return page_copy_.run(stores, {from, device}, {to, device + from.size()}, stream_of(queue));
    });
}

PlanMemory CudaBackend::plan_memory(const PlanShape& shape) const {
    return memory_of(shape);
}

Result<std::unique_ptr<DevicePlan>> CudaBackend::create_plan(const PlanShape& shape,
                                                             const PlanBuffers& buffers, int64_t) {
    return CudaPlan::make(gpu_, kernels_, shape, buffers);
}

Result<void> CudaBackend::merge(const MergeCall& call, void* queue) {
    const Gpu::Current current(*gpu_);
    launch_merge(call, stream_of(queue));
    return check_launch("merge");
}

}  // namespace relayattn::cuda
