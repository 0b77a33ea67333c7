#include "capi/objects.h"

using namespace relayattn;
using namespace relayattn::capi;

ra_status ra_sequence_attach(ra_cache k, ra_prefix p, ra_sequence* out) {
    return guarded(__func__, [&]() -> Result<void> {
        auto cache = look_up(k, "k");
        if (!cache)
            return cache.error();
        std::shared_ptr<Prefix> prefix;
        if (p != nullptr) {
            auto found = look_up(p, "p");
            if (!found)
                return found.error();
            prefix = *found;
            if (prefix->cache() != *cache)
                return error(Code::argument, "p belongs to another cache");
        }
        return create(out, [&] { return Sequence::attach(*cache, prefix.get()); });
    });
}

ra_status ra_sequence_fork(ra_sequence s, ra_sequence* out) {
    return guarded(__func__, [&]() -> Result<void> {
        auto sequence = look_up(s, "s");
        if (!sequence)
            return sequence.error();
        return create(out, [&] { return (*sequence)->fork(); });
    });
}

ra_status ra_sequence_truncate(ra_sequence s, int64_t length) {
    return guarded(__func__, [&]() -> Result<void> {
        auto sequence = look_up(s, "s");
        if (!sequence)
            return sequence.error();
        return (*sequence)->truncate(length);
    });
}

ra_status ra_sequence_length(ra_sequence s, int64_t* length_out, int64_t* min_out) {
    return guarded(__func__, [&]() -> Result<void> {
        auto sequence = look_up(s, "s");
        if (!sequence)
            return sequence.error();
        if (Result<void> ok = require(length_out, "length_out"); !ok)
            return ok;
        if (Result<void> ok = require(min_out, "min_out"); !ok)
            return ok;
        const Sequence::Length length = (*sequence)->length();
        *length_out = length.length;
        *min_out = length.min;
        return {};
    });
}

ra_status ra_sequence_erase(ra_sequence s, int64_t, int64_t) {
    return guarded(__func__, [&]() -> Result<void> {
        auto sequence = look_up(s, "s");
        if (!sequence)
            return sequence.error();
        return error(Code::unsupported,
                     "this version cannot take tokens out of a sequence's middle; truncate it and "
                     "compute the rest again");
    });
}

ra_status ra_sequence_pages(ra_sequence s, int64_t group, int32_t* pages, int64_t max_pages,
                            int64_t* num_out) {
    return guarded(__func__, [&]() -> Result<void> {
        auto sequence = look_up(s, "s");
        if (!sequence)
            return sequence.error();
        const Cache& cache = *(*sequence)->cache();
        if (Result<void> ok = check_group(cache.model(), group); !ok)
            return ok;
        if (max_pages < 0 || (max_pages > 0 && pages == nullptr))
            return error(Code::argument, "max_pages is ", max_pages, " and pages is ",
                         static_cast<const void*>(pages),
                         "; pages must have room for max_pages >= 0 entries");
        if (Result<void> ok = require(num_out, "num_out"); !ok)
            return ok;
        const std::vector<int32_t> all = (*sequence)->pages(cache.pool_of(group));
        const auto count = std::min(static_cast<size_t>(max_pages), all.size());
        std::copy_n(all.begin(), count, pages);
        *num_out = static_cast<int64_t>(all.size());
        return {};
    });
}

void ra_sequence_release(ra_sequence s) {
    const std::shared_ptr<void> object = handles().remove(token_of(s), Kind::sequence);
    if (object != nullptr)
        Sequence::release(std::static_pointer_cast<Sequence>(object));
}
