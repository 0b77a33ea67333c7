#include <span>

#include "capi/attend_args.h"
#include "capi/objects.h"

using namespace relayattn;
using namespace relayattn::capi;

namespace {

// A (pointer, count) argument as a span.
Result<std::span<const int64_t>> to_span(const int64_t* data, int64_t count, const char* name) {
    if (count < 0)
        return error(Code::argument, "num_", name, " is ", count, "; it must be at least 0");
    if (count > 0 && data == nullptr)
        return error(Code::argument, name, " is null; it must hold num_", name, " = ", count,
                     " entries");
    return std::span<const int64_t>(data, static_cast<size_t>(count));
}

// With the cache's mutex held, which keeps the sequences alive: see Sequence::release.
Result<BatchInput> to_input(const Cache& cache, const ra_batch_input* given) {
    Result<ra_batch_input> in = take_struct(given, "input");
    if (!in)
        return in.error();
    BatchInput input;
    if (in->num_sequences < 0 || (in->num_sequences > 0 && in->sequences == nullptr))
        return error(Code::argument, "num_sequences is ", in->num_sequences, " and sequences is ",
                     static_cast<const void*>(in->sequences),
                     "; sequences must hold num_sequences >= 0 handles");
    if (in->num_q_lens != in->num_sequences)
        return error(Code::argument, "num_q_lens is ", in->num_q_lens,
                     "; it must equal num_sequences, ", in->num_sequences);
    if (in->num_row_flags != 0 && in->num_row_flags != in->num_sequences)
        return error(Code::argument, "num_row_flags is ", in->num_row_flags,
                     "; it must be 0 or num_sequences, ", in->num_sequences);
    Result<std::span<const int64_t>> q_lens = to_span(in->q_lens, in->num_q_lens, "q_lens");
    if (!q_lens)
        return q_lens.error();
    Result<std::span<const int64_t>> flags = to_span(in->row_flags, in->num_row_flags, "row_flags");
    if (!flags)
        return flags.error();
    constexpr int64_t most_spans = int64_t{1} << 40;
    if (in->num_spans < 0 || in->num_spans > most_spans ||
        (in->num_spans > 0 && in->spans == nullptr))
        return error(Code::argument, "num_spans is ", in->num_spans, " and spans is ",
                     static_cast<const void*>(in->spans),
                     "; spans must hold num_spans >= 0 triples of row, begin, end");
    // Handles are read as 64-bit tokens, which is what they are.
    static_assert(sizeof(ra_sequence) == sizeof(uint64_t));
    input.sequences.resize(static_cast<size_t>(in->num_sequences));
    const int64_t found = handles().visit_all(
        reinterpret_cast<const uint64_t*>(in->sequences), in->num_sequences, Kind::sequence,
        [&cache, to = input.sequences.data()](void* object) mutable {
            auto* sequence = static_cast<Sequence*>(object);
            const bool is_ours = sequence->cache().get() == &cache;
            *to++ = is_ours ? sequence : nullptr;
        });
    if (found < in->num_sequences)
        return error(Code::handle, "sequences[", found, "] is not a live ra_sequence");
    input.q_lens = *q_lens;
    input.row_flags = *flags;
    input.spans = {in->spans, static_cast<size_t>(3 * in->num_spans)};
    input.tree_mask = in->tree_mask;
    input.tree_stride = in->tree_stride;
    input.padded_tokens = in->padded_tokens;
    return input;
}

Result<void> check_mode(const ra_plan_options& o) {
    if (o.mode < RA_MODE_AUTO || o.mode > RA_MODE_RELAY)
        return error(Code::argument, "mode is ", o.mode,
                     "; it must be RA_MODE_AUTO (0), RA_MODE_FLAT (1) or RA_MODE_RELAY (2)");
    return {};
}

Result<BatchOptions> to_options(const Cache& cache, const ra_plan_options* given) {
    Result<ra_plan_options> o = take_struct(given, "o");
    if (!o)
        return o.error();
    if (Result<void> ok = check_mode(*o); !ok)
        return ok.error();
    if (Result<void> ok = check_plan_flags(cache.backend(), o->flags, "flags"); !ok)
        return ok.error();
    constexpr int64_t most = (int64_t{1} << 31) - 1;
    const struct {
        int64_t value;
        const char* name;
    } bounds[] = {{o->max_rows, "max_rows"},
                  {o->max_tokens, "max_tokens"},
                  {o->max_runs, "max_runs"},
                  {o->max_kv_tokens, "max_kv_tokens"}};
    for (const auto& bound : bounds) {
        if (bound.value < 0 || bound.value > most)
            return error(Code::argument, bound.name, " is ", bound.value,
                         "; it must be 0 (grows as needed) or from 1 to ", most);
    }
    const struct {
        const void* memory;
        int64_t size;
        const char* name;
    } buffers[] = {{o->scratch, o->scratch_size, "scratch"},
                   {o->metadata, o->metadata_size, "metadata"}};
    for (const auto& buffer : buffers) {
        if (buffer.size < 0 || (buffer.memory == nullptr && buffer.size != 0))
            return error(Code::argument, buffer.name, "_size is ", buffer.size,
                         "; it must be at least 0, and 0 when ", buffer.name, " is null");
    }
    BatchOptions options;
    options.max_rows = o->max_rows;
    options.max_tokens = o->max_tokens;
    options.max_runs = o->max_runs;
    options.max_kv_tokens = o->max_kv_tokens;
    options.mode = static_cast<PlanMode>(o->mode);
    options.graph = (o->flags & RA_PLAN_GRAPH) != 0;
    options.batch_invariant = (o->flags & RA_PLAN_BATCH_INVARIANT) != 0;
    options.tree = (o->flags & RA_PLAN_TREE) != 0;
    options.scratch = o->scratch;
    options.scratch_size = o->scratch_size;
    options.metadata = o->metadata;
    options.metadata_size = o->metadata_size;
    if (options.graph && (o->max_rows == 0 || o->max_tokens == 0))
        return error(Code::argument,
                     "flags holds RA_PLAN_GRAPH, so max_rows and max_tokens must be given: a "
                     "captured graph cannot grow");
    return options;
}

}  // namespace

ra_status ra_plan_options_init(ra_plan_options* o, int64_t struct_size) {
    return guarded(__func__, [&] { return give_struct(ra_plan_options{}, o, struct_size, "o"); });
}

ra_status ra_batch_memory(ra_cache k, const ra_plan_options* o, int64_t* scratch_out,
                          int64_t* metadata_out) {
    return guarded(__func__, [&]() -> Result<void> {
        auto cache = look_up(k, "k");
        if (!cache)
            return cache.error();
        Result<BatchOptions> options = to_options(**cache, o);
        if (!options)
            return options.error();
        if (Result<void> ok = require(scratch_out, "scratch_out"); !ok)
            return ok;
        if (Result<void> ok = require(metadata_out, "metadata_out"); !ok)
            return ok;
        Result<PlanMemory> memory = Batch::memory_needed(**cache, *options);
        if (!memory)
            return memory.error();
        *scratch_out = memory->scratch;
        *metadata_out = memory->metadata;
        return {};
    });
}

ra_status ra_batch_create(ra_cache k, const ra_plan_options* o, ra_batch* out) {
    return guarded(__func__, [&]() -> Result<void> {
        auto cache = look_up(k, "k");
        if (!cache)
            return cache.error();
        Result<BatchOptions> options = to_options(**cache, o);
        if (!options)
            return options.error();
        return create(out, [&] { return Batch::create(*cache, *options); });
    });
}

ra_status ra_batch_pages_needed(ra_batch b, const ra_batch_input* input, int64_t group,
                                int64_t* pages_out) {
    return guarded(__func__, [&]() -> Result<void> {
        auto batch = look_up(b, "b");
        if (!batch)
            return batch.error();
        Cache& cache = *(*batch)->cache();
        const std::lock_guard lock(cache.mutex);
        Result<BatchInput> step = to_input(cache, input);
        if (!step)
            return step.error();
        if (Result<void> ok = check_group(cache.model(), group); !ok)
            return ok;
        if (Result<void> ok = require(pages_out, "pages_out"); !ok)
            return ok;
        Result<int64_t> pages = (*batch)->pages_needed(*step, cache.pool_of(group));
        if (!pages)
            return pages.error();
        *pages_out = *pages;
        return {};
    });
}

ra_status ra_batch_begin(ra_batch b, const ra_batch_input* input, void* queue) {
    return guarded(__func__, [&]() -> Result<void> {
        auto batch = look_up(b, "b");
        if (!batch)
            return batch.error();
        Cache& cache = *(*batch)->cache();
        const std::lock_guard lock(cache.mutex);
        Result<BatchInput> step = to_input(cache, input);
        if (!step)
            return step.error();
        if (Result<void> ok = check_queue(cache.backend(), queue); !ok)
            return ok;
        return (*batch)->begin(*step, queue);
    });
}

ra_status ra_batch_begin_dummy(ra_batch b, int64_t rows, int64_t q_len, int64_t kv_len,
                               void* queue) {
    return guarded(__func__, [&]() -> Result<void> {
        auto batch = look_up(b, "b");
        if (!batch)
            return batch.error();
        if (Result<void> ok = check_queue((*batch)->cache()->backend(), queue); !ok)
            return ok;
        return (*batch)->begin_dummy(rows, q_len, kv_len, queue);
    });
}

ra_status ra_batch_attend(ra_batch b, int64_t layer, const ra_attend_args* a, void* queue) {
    return guarded(__func__, [&]() -> Result<void> {
        auto batch = look_up(b, "b");
        if (!batch)
            return batch.error();
        const Cache& cache = *(*batch)->cache();
        Result<AttendCall> call = to_attend_call(cache.model(), layer, a);
        if (!call)
            return call.error();
        if (Result<void> ok = check_queue(cache.backend(), queue); !ok)
            return ok;
        return (*batch)->attend(layer, *call, queue);
    });
}

ra_status ra_batch_attend_worker(ra_batch b, int64_t layer, const ra_attend_args* a, int64_t worker,
                                 int64_t num_workers) {
    return guarded(__func__, [&]() -> Result<void> {
        auto batch = look_up(b, "b");
        if (!batch)
            return batch.error();
        if (num_workers < 1)
            return error(Code::argument, "num_workers is ", num_workers, "; it must be at least 1");
        if (worker < 0 || worker >= num_workers)
            return error(Code::argument, "worker is ", worker, "; it must be from 0 to ",
                         num_workers - 1);
        Result<AttendCall> call = to_attend_call((*batch)->cache()->model(), layer, a);
        if (!call)
            return call.error();
        return (*batch)->attend_worker(layer, *call, worker, num_workers);
    });
}

ra_status ra_batch_commit(ra_batch b, const int64_t* kept, int64_t num_kept, const int64_t* index,
                          int64_t num_index, void* queue) {
    return guarded(__func__, [&]() -> Result<void> {
        auto batch = look_up(b, "b");
        if (!batch)
            return batch.error();
        Result<std::span<const int64_t>> counts = to_span(kept, num_kept, "kept");
        if (!counts)
            return counts.error();
        Result<std::span<const int64_t>> indices = to_span(index, num_index, "index");
        if (!indices)
            return indices.error();
        if (Result<void> ok = check_queue((*batch)->cache()->backend(), queue); !ok)
            return ok;
        // An empty step has nothing to say: null and empty are the same there.
        const bool has_index = index != nullptr && (kept != nullptr || num_index > 0);
        return (*batch)->commit(*counts, kept == nullptr, *indices, has_index, queue);
    });
}

ra_status ra_batch_commit_device(ra_batch b, const int32_t*, void*) {
    return guarded(__func__, [&]() -> Result<void> {
        auto batch = look_up(b, "b");
        if (!batch)
            return batch.error();
        return error(Code::unsupported,
                     "this version needs the kept counts on the host; use ra_batch_commit");
    });
}

ra_status ra_batch_abort(ra_batch b, void* queue) {
    return guarded(__func__, [&]() -> Result<void> {
        auto batch = look_up(b, "b");
        if (!batch)
            return batch.error();
        if (Result<void> ok = check_queue((*batch)->cache()->backend(), queue); !ok)
            return ok;
        return (*batch)->abort(queue);
    });
}

ra_status ra_batch_query(ra_batch b, int64_t group, int32_t property, int64_t* value_out) {
    return guarded(__func__, [&]() -> Result<void> {
        auto batch = look_up(b, "b");
        if (!batch)
            return batch.error();
        if (Result<void> ok = check_group((*batch)->cache()->model(), group); !ok)
            return ok;
        if (Result<void> ok = require(value_out, "value_out"); !ok)
            return ok;
        Result<BatchQuery> answer = (*batch)->query(group);
        if (!answer)
            return answer.error();
        const PlanSummary& plan = answer->plan;
        switch (property) {
            case RA_PLAN_INFO_LAUNCHES:
                *value_out = answer->launches;
                return {};
            case RA_PLAN_INFO_ITEMS:
                *value_out = plan.items;
                return {};
            case RA_PLAN_INFO_RUNS:
                *value_out = plan.runs;
                return {};
            case RA_PLAN_INFO_RELAY_RUNS:
                *value_out = plan.relay_runs;
                return {};
            case RA_PLAN_INFO_PARTIALS:
                *value_out = plan.partials;
                return {};
            case RA_PLAN_INFO_KV_BYTES:
                *value_out = plan.kv_bytes;
                return {};
            case RA_PLAN_INFO_PREDICTED_NS:
                *value_out = plan.predicted_ns;
                return {};
            default:
                return error(Code::argument, "property is ", property,
                             "; it must be one of RA_PLAN_INFO_* (1 to 7)");
        }
    });
}

void ra_batch_release(ra_batch b) {
    release(b);
}
