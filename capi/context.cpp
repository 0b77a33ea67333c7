#include <string>

#include "capi/objects.h"

using namespace relayattn;
using namespace relayattn::capi;

namespace {

Result<std::unique_ptr<Backend>> create_backend(const ra_context_options& options) {
    if (options.backend == RA_BACKEND_CPU)
        return create_cpu_backend({options.num_threads});
    Result<std::unique_ptr<Backend>> cuda = create_cuda_backend(options.ordinal);
    // AUTO takes a GPU where one can be had; that none can is not an error.
    if (!cuda && options.backend == RA_BACKEND_AUTO && cuda.error().code == Code::device)
        return create_cpu_backend({options.num_threads});
    return cuda;
}

Result<void> check(const ra_context_options& o) {
    if (o.backend < RA_BACKEND_AUTO || o.backend > RA_BACKEND_CUDA)
        return error(Code::argument, "backend is ", o.backend,
                     "; it must be RA_BACKEND_AUTO (0), RA_BACKEND_CPU (1) or RA_BACKEND_CUDA (2)");
    if (o.ordinal < 0)
        return error(Code::argument, "ordinal is ", o.ordinal, "; it must be at least 0");
    if (o.ordinal != 0 && o.backend == RA_BACKEND_CPU)
        return error(Code::device, "ordinal is ", o.ordinal, "; the CPU is one device, ordinal 0");
    constexpr int64_t most = 1024;
    if (o.num_threads < 0 || o.num_threads > most)
        return error(Code::argument, "num_threads is ", o.num_threads,
                     "; it must be 0 (all cores allowed) or from 1 to ", most);
    if (o.numa_node != -1)
        return error(Code::unsupported, "numa_node is ", o.numa_node,
                     "; this version does not bind to NUMA nodes: leave it at -1");
    return {};
}

}  // namespace

ra_status ra_context_options_init(ra_context_options* o, int64_t struct_size) {
    return guarded(__func__, [&] {
        ra_context_options defaults{};
        defaults.backend = RA_BACKEND_AUTO;
        defaults.numa_node = -1;
        return give_struct(defaults, o, struct_size, "o");
    });
}

ra_status ra_context_create(const ra_context_options* o, ra_context* out) {
    return guarded(__func__, [&]() -> Result<void> {
        Result<ra_context_options> options = take_struct(o, "o");
        if (!options)
            return options.error();
        if (Result<void> ok = check(*options); !ok)
            return ok;
        return create(out, [&]() -> Result<std::shared_ptr<Context>> {
            Result<FiguresTable> measured = FiguresTable::from_environment();
            if (!measured)
                return measured.error();
            Result<std::unique_ptr<Backend>> backend = create_backend(*options);
            if (!backend)
                return backend.error();
            return std::make_shared<Context>(std::move(*backend), std::move(*measured));
        });
    });
}

ra_status ra_context_set_log(ra_context c, ra_log_fn log, void* user) {
    return guarded(__func__, [&]() -> Result<void> {
        auto context = look_up(c, "c");
        if (!context)
            return context.error();
        (*context)->set_log(log, user);
        const BackendInfo info = (*context)->backend().info();
        (*context)->log(Context::info, info.backend == RA_BACKEND_CPU
                                           ? "CPU, " + std::to_string(info.num_threads) + " threads"
                                           : "CUDA device " + std::to_string(info.ordinal));
        return {};
    });
}

ra_status ra_context_query(ra_context c, int32_t property, int64_t* value_out) {
    return guarded(__func__, [&]() -> Result<void> {
        auto context = look_up(c, "c");
        if (!context)
            return context.error();
        if (Result<void> ok = require(value_out, "value_out"); !ok)
            return ok;
        const BackendInfo info = (*context)->backend().info();
        switch (property) {
            case RA_CONTEXT_INFO_BACKEND:
                *value_out = info.backend;
                return {};
            case RA_CONTEXT_INFO_ORDINAL:
                *value_out = info.ordinal;
                return {};
            case RA_CONTEXT_INFO_NUM_THREADS:
                *value_out = info.num_threads;
                return {};
            case RA_CONTEXT_INFO_ISA:
                *value_out = info.isa;
                return {};
            case RA_CONTEXT_INFO_SM:
                *value_out = info.sm;
                return {};
            case RA_CONTEXT_INFO_PAGE_SIZE:
                *value_out = info.page_size;
                return {};
            case RA_CONTEXT_INFO_GRAPHS:
                *value_out = info.graphs ? 1 : 0;
                return {};
            default:
                return error(Code::argument, "property is ", property,
                             "; it must be one of RA_CONTEXT_INFO_* (1 to 7)");
        }
    });
}

void ra_context_release(ra_context c) {
    release(c);
}
