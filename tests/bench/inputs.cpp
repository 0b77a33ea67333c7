#include "inputs.h"

#include <cstring>
#include <random>

#include "support/dtype.h"

namespace relayattn::bench {
namespace {

constexpr uint64_t k_places = uint64_t{1} << 20;

// The finaliser of MurmurHash3: neighbouring tokens land far apart.
uint64_t place(Stream stream, int64_t token) {
    uint64_t h = static_cast<uint64_t>(token) * 4 + static_cast<uint64_t>(stream);
    h = (h ^ (h >> 33)) * 0xff51afd7ed558ccdULL;
    h = (h ^ (h >> 33)) * 0xc4ceb9fe1a85ec53ULL;
    return (h ^ (h >> 33)) % k_places;
}

}  // namespace

Inputs::Inputs(Dtypes dtypes) : q_(make_table(dtypes.q)), kv_(make_table(dtypes.kv)) {}

Inputs::Table Inputs::make_table(int32_t dtype) {
    Table table{dtype, std::vector<float>(k_places + k_widest_row), {}};
    std::mt19937_64 random(42);
    std::normal_distribution<float> normal;
    for (float& value : table.values)
        value = test::rounded(normal(random), dtype);
    const auto count = static_cast<int64_t>(table.values.size());
    table.bytes.resize(static_cast<size_t>(count * test::size_of(dtype)));
    test::encode(table.values.data(), count, dtype, table.bytes.data());
    return table;
}

const float* Inputs::values(Stream stream, int64_t token) const {
    return table(stream).values.data() + place(stream, token);
}

void Inputs::encode(Stream stream, int64_t token, int64_t width, void* out) const {
    const Table& from = table(stream);
    const auto size = static_cast<size_t>(test::size_of(from.dtype));
    std::memcpy(out, from.bytes.data() + place(stream, token) * size,
                static_cast<size_t>(width) * size);
}

}  // namespace relayattn::bench
