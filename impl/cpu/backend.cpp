#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <system_error>

#include "impl/backend.h"
#include "impl/cpu/figures.h"
#include "impl/cpu/parts.h"
#include "impl/cpu/plan.h"
#include "impl/cpu/slots.h"

namespace relayattn {
namespace cpu {
namespace {

constexpr int64_t k_max_threads = 1024;
constexpr int64_t k_best_page_size = 128;  // one step: a head's K and V lie in longer stretches
constexpr std::size_t k_huge_page = std::size_t{2} << 20;

// Pages' memory. Huge pages where there can be some: a cache is read from end to end.
class HostMemory final : public DeviceMemory {
  public:
    explicit HostMemory(int64_t bytes)
        : memory_(::operator new(static_cast<std::size_t>(bytes), std::align_val_t{k_huge_page})) {
#if defined(MADV_HUGEPAGE)
        madvise(memory_.get(), static_cast<std::size_t>(bytes), MADV_HUGEPAGE);
#endif
    }
    void* data() override { return memory_.get(); }

  private:
    std::unique_ptr<void, AlignedDelete<k_huge_page>> memory_;
};

// Every call completes before it returns.
class HostOrder final : public QueueOrder {
  public:
    Result<void> before(void*) override { return {}; }
    Result<void> after(void*) override { return {}; }
};

Result<void> check_packed(const LayerStore& store) {
    if (!store.layout.packed) {
        return error(Code::unsupported, "the CPU backend writes and reads packed pages only");
    }
    return {};
}

Result<void> check_head_dim(const char* name, int64_t dim) {
    if (dim < 32 || dim > 256 || dim % 8 != 0) {
        return error(Code::unsupported, name, " is ", dim,
                     "; the CPU backend takes multiples of 8 from 32 to 256");
    }
    return {};
}

class CpuBackend final : public Backend {
  public:
    CpuBackend(const InstructionSet& set, int64_t num_threads) : engine_(set, num_threads) {}

    BackendInfo info() const override {
        BackendInfo info;
        info.backend = 1;
        info.num_threads = engine_.pool.num_threads();
        info.isa = engine_.set.id;
        info.page_size = k_best_page_size;
        return info;
    }

    DeviceFigures figures(const Layer& layer) const override {
        return figures_of(engine_.set, engine_.pool.num_threads(), layer);
    }

    Result<void> supports(const Layer& layer, int64_t page_size, bool graph) const override {
        if (graph) {
            return error(Code::unsupported, "a CPU step cannot be captured in a graph");
        }
        if (page_size < 1) {
            return error(Code::argument, "page_size is ", page_size, "; it must be at least 1");
        }
        if (Result<void> fine = check_head_dim("head_dim_k", layer.kv.head_dim_k); !fine) {
            return fine;
        }
        return check_head_dim("head_dim_v", layer.kv.head_dim_v);
    }

    PageLayout page_layout(const KvGeometry& geometry, int64_t page_size) const override {
        const PackedLayout packed = packed_layout(geometry, page_size);
        PageLayout layout;
        layout.page_size = page_size;
        layout.packed = true;
        layout.k_page_stride = packed.k_page * size_of(geometry.dtype);
        layout.v_page_stride = packed.v_page * size_of(geometry.dtype);
        return layout;
    }

    Result<std::unique_ptr<DeviceMemory>> allocate(int64_t bytes) override {
        return std::unique_ptr<DeviceMemory>(std::make_unique<HostMemory>(bytes));
    }

    Result<std::unique_ptr<QueueOrder>> create_order() override {
        return std::unique_ptr<QueueOrder>(std::make_unique<HostOrder>());
    }

    Result<void> write(const LayerStore& store, const View& k, const View& v,
                       std::span<const int64_t> slots, void*) override {
        if (Result<void> fine = check_packed(store); !fine) {
            return fine;
        }
        const std::lock_guard lock(engine_.pool_mutex);
        write_all(engine_.pool, store, k, v, slots);
        return {};
    }

    Result<void> read(const LayerStore& store, const View& k, const View& v,
                      std::span<const int64_t> slots, void*) override {
        if (Result<void> fine = check_packed(store); !fine) {
            return fine;
        }
        const std::lock_guard lock(engine_.pool_mutex);
        read_all(engine_.pool, store, k, v, slots);
        return {};
    }

    Result<void> copy(std::span<const LayerStore> stores, std::span<const int64_t> from,
                      std::span<const int64_t> to, void*) override {
        for (const LayerStore& store : stores) {
            if (Result<void> fine = check_packed(store); !fine) {
                return fine;
            }
        }
        copy_slots(stores, from, to);
        return {};
    }

    PlanMemory plan_memory(const PlanShape& shape) const override {
        return PlanStorage::bytes(shape, CpuPlan::max_workers(engine_));
    }

    Result<std::unique_ptr<DevicePlan>> create_plan(const PlanShape& shape,
                                                    const PlanBuffers& buffers,
                                                    int64_t num_layers) override {
        return std::unique_ptr<DevicePlan>(
            std::make_unique<CpuPlan>(engine_, shape, buffers, num_layers));
    }

    Result<void> merge(const MergeCall& call, void*) override;

  private:
    Engine engine_;
};

Rows rows_of(const View& view) {
    return {static_cast<char*>(view.data), view.token_stride, view.head_stride};
}

Result<void> CpuBackend::merge(const MergeCall& call, void*) {
    MergeJob job{};
    job.num_tokens = call.num_tokens;
    job.num_heads = call.num_heads;
    job.head_dim = call.head_dim;
    job.in_dtype = call.in_dtype;
    job.out_dtype = call.out_dtype;
    job.a = rows_of(call.a);
    job.b = rows_of(call.b);
    job.out = rows_of(call.out);
    job.a_lse = call.a_lse;
    job.b_lse = call.b_lse;
    job.out_lse = call.out_lse;
    job.lse_token_stride = call.lse_token_stride;
    job.lse_head_stride = call.lse_head_stride;
    job.lse_to_log2 = call.base2 ? 1.0f : 1.44269504088896340736f;
    const int64_t bytes = 3 * call.num_tokens * call.num_heads * call.head_dim * 4;
    const std::lock_guard lock(engine_.pool_mutex);
    in_parts(engine_.pool, call.num_tokens, bytes,
             [&](int64_t begin, int64_t end) { engine_.set.kernels->merge(job, begin, end); });
    return {};
}

}  // namespace
}  // namespace cpu

Result<std::unique_ptr<Backend>> create_cpu_backend(const CpuOptions& options) {
    using namespace cpu;
    if (options.num_threads < 0 || options.num_threads > k_max_threads) {
        return error(Code::argument, "num_threads is ", options.num_threads,
                     "; it must be from 0 to ", k_max_threads);
    }
    const auto set = choose_instruction_set(std::getenv("RELAYATTN_ISA"), machine_features());
    if (!set) {
        return set.error();
    }
    const int64_t threads =
        options.num_threads == 0 ? std::min(cores_allowed(), k_max_threads) : options.num_threads;
    try {
        return std::unique_ptr<Backend>(std::make_unique<CpuBackend>(**set, threads));
    } catch (const std::system_error& e) {
        return error(Code::device, "num_threads is ", threads,
                     "; not so many could be started: ", e.what());
    }
}

}  // namespace relayattn
