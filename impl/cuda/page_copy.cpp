#include "impl/cuda/page_copy.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "impl/cuda/error.h"

namespace relayattn::cuda {
namespace {

constexpr int64_t k_staging_bytes = int64_t{32} << 20;  // for more than one tensor at a time

// Whether some slot is both read and written.
bool overlap(std::span<const int64_t> from, std::span<const int64_t> to) {
    std::vector<int64_t> read(from.begin(), from.end());
    std::sort(read.begin(), read.end());
    return std::any_of(to.begin(), to.end(), [&](int64_t slot) {
        return slot >= 0 && std::binary_search(read.begin(), read.end(), slot);
    });
}

std::vector<Move> moves_of(std::span<const LayerStore> stores) {
    std::vector<Move> moves;
    for (const LayerStore& store : stores) {
        const auto heads = static_cast<int32_t>(store.geometry.num_kv_heads);
        const int64_t size = size_of(store.geometry.dtype);
        const Rows k = k_rows(store), v = v_rows(store);
        moves.push_back({k, k, heads, static_cast<int32_t>(store.geometry.head_dim_k * size)});
        moves.push_back({v, v, heads, static_cast<int32_t>(store.geometry.head_dim_v * size)});
    }
    return moves;
}

int64_t token_bytes(const Move& move) {
    return int64_t{move.num_heads} * move.row_bytes;
}

// A dense array of `count` tokens for the rows of `move`.
Rows dense_rows(const Move& move, char* data) {
    View view;
    view.data = data;
    view.token_stride = token_bytes(move);
    view.head_stride = move.row_bytes;
    return rows_of(view);
}

// Tensors that go through the staging memory together: moves [first, first + count).
struct Round {
    size_t first, count;
    int64_t bytes;
};

// As few rounds as the staging memory allows; one tensor may be larger than it.
std::vector<Round> rounds_of(std::span<const Move> moves, int64_t num_tokens) {
    std::vector<Round> rounds;
    for (size_t i = 0; i < moves.size(); ++i) {
        const int64_t bytes = num_tokens * token_bytes(moves[i]);
        if (rounds.empty() || rounds.back().bytes + bytes > k_staging_bytes)
            rounds.push_back({i, 0, 0});
        ++rounds.back().count;
        rounds.back().bytes += bytes;
    }
    return rounds;
}

}  // namespace

Result<void> PageCopy::run(std::span<const LayerStore> stores, const SlotList& from,
                           const SlotList& to, cudaStream_t stream) {
    const std::vector<Move> moves = moves_of(stores);
    if (overlap(from.host, to.host)) {
        const std::lock_guard lock(mutex_);
        return run_staged(moves, from, to, stream);
    }
    MoveSlots slots;
    slots.from = from.device;
    slots.to = to.device;
    slots.count = static_cast<int64_t>(from.host.size());
    launch_moves(moves, slots, stream);
    return check_launch("copy");
}

// Whatever can fail comes before the first launch: half a copy would be worse than none.
Result<void> PageCopy::run_staged(std::span<const Move> moves, const SlotList& from,
                                  const SlotList& to, cudaStream_t stream) {
    const auto num_tokens = static_cast<int64_t>(from.host.size());
    const std::vector<Round> rounds = rounds_of(moves, num_tokens);
    int64_t most = 0;
    for (const Round& round : rounds)
        most = std::max(most, round.bytes);
    std::vector<Move> out(moves.begin(), moves.end()), in = out;
    const Result<void> reserved = reserve(most, stream);
    if (!reserved)
        return reserved;
    MoveSlots read, write;
    read.from = from.device;
    write.to = to.device;
    read.count = write.count = num_tokens;
    for (const Round& round : rounds) {
        char* data = staging_.data();
        for (size_t i = round.first; i < round.first + round.count; ++i) {
            out[i].to = in[i].from = dense_rows(moves[i], data);
            data += num_tokens * token_bytes(moves[i]);
        }
        launch_moves(std::span(out).subspan(round.first, round.count), read, stream);
        launch_moves(std::span(in).subspan(round.first, round.count), write, stream);
    }
    const Result<void> launched = check_launch("copy");
    const Result<void> marked = check(cudaEventRecord(last_use_.get(), stream), "cudaEventRecord");
    return launched ? marked : launched;
}

// Staging memory of this size at least, free for work given to `stream` from now on.
Result<void> PageCopy::reserve(int64_t bytes, cudaStream_t stream) {
    if (last_use_.get() == nullptr) {
        Result<Event> event = Event::make(gpu_);
        if (!event)
            return event.error();
        last_use_ = std::move(*event);
    }
    if (staging_.size() < bytes) {
        Result<DeviceBlock> block = DeviceBlock::make(gpu_, bytes);
        if (!block)
            return block.error();
        staging_ = std::move(*block);  // freeing the old one waits for its last use
        return {};
    }
    return check(cudaStreamWaitEvent(stream, last_use_.get(), 0), "cudaStreamWaitEvent");
}

}  // namespace relayattn::cuda
