#include "floor.h"

#include <algorithm>
#include <stdexcept>

#include "support/dtype.h"

namespace relayattn::bench {

std::string Dtypes::name() const {
    const std::string first = test::name_of(q);
    return q == kv ? first : first + ",kv=" + test::name_of(kv);
}

Work work_of(const Shape& shape, Dtypes dtypes) {
    const auto d = [](int64_t value) { return static_cast<double>(value); };
    int64_t stored = shape.tail_tokens();
    for (const SharedPrefix& prefix : shape.prefixes)
        stored += prefix.tokens;
    int64_t seen = 0;  // keys, summed over queries
    for (const Row& row : shape.rows) {
        const int64_t last = shape.chain_tokens(row.prefix) + row.tail;
        seen += shape.q_len * last - shape.q_len * (shape.q_len - 1) / 2;
    }
    const int64_t both_dims = 2 * shape.head_dim;
    const int64_t q_and_out = shape.num_rows() * shape.q_len * shape.q_heads * both_dims;
    Work work{};
    work.bytes = d(stored) * d(shape.kv_heads * both_dims * test::size_of(dtypes.kv)) +
                 d(q_and_out * test::size_of(dtypes.q));
    work.flops = 2.0 * d(shape.q_heads * both_dims) * d(seen);
    return work;
}

const MatrixRate& Ceilings::best(int32_t dtype, int32_t isa) const {
    const MatrixRate* found = nullptr;
    for (const MatrixRate& rate : matrix) {
        const bool usable = rate.isa <= isa && (rate.dtype == 0 || rate.dtype == dtype);
        if (usable && (found == nullptr || rate.flops > found->flops))
            found = &rate;
    }
    if (found == nullptr)
        throw std::runtime_error("no matrix rate was measured for " +
                                 std::string(test::name_of(dtype)));
    return *found;
}

Floor floor_of(const Work& work, const Ceilings& ceilings, int32_t dtype, int32_t isa) {
    const MatrixRate& rate = ceilings.best(dtype, isa);
    Floor floor{};
    floor.memory = work.bytes / ceilings.read;
    floor.matrix = work.flops / rate.flops;
    floor.seconds = std::max(floor.memory, floor.matrix);
    floor.rate = rate.name;
    return floor;
}

}  // namespace relayattn::bench
