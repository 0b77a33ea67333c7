// The memory that one worker needs while it runs an item, carved from one block.
#pragma once

#include <cstdint>

#include "impl/cpu/job.h"

namespace relayattn::cpu {

constexpr int64_t k_max_tile_rows = 16;  // most rows of one register tile, any instruction set
constexpr int64_t k_group_tiles = 2;     // tiles that use one range of K or V while it is in L1
constexpr int64_t k_group_rows = k_group_tiles * k_max_tile_rows;

// Rows of one item that are attended together. More are taken in turns, each reading K and V anew;
// the planner is told to make no such items (DeviceFigures::tile_rows).
constexpr int64_t k_max_rows = 256;

// Rows of scores and of q lie apart by constants, so that a micro-kernel addresses all its rows
// from one register; the odd 16 keeps them out of each other's cache sets.
constexpr int64_t k_score_stride = k_max_columns + 16;
constexpr int64_t k_q_stride = 256 + 16;

constexpr int64_t k_pair_stride = k_max_columns / 2 + 16;  // of words of two probabilities

struct Scratch {
    float* scores;       // [k_group_rows][k_score_stride]
    float* pairs;        // [k_group_rows][k_pair_stride]
    float* q;            // [k_max_rows][k_q_stride], scaled
    float* o;            // [k_max_rows][o_stride]
    float* l;            // [k_max_rows][16]: lanes of the sum
    float* m;            // [k_max_rows + 16]: read in whole vectors
    float* more_scores;  // as many as scores: of tiles, two groups' lie beside each other
    int64_t o_stride;
};

static constexpr int64_t scratch_bytes(int64_t head_dim_v) {
    const int64_t row = k_q_stride + round_up(head_dim_v, k_lane) + 16 + 1;
    return 4 * (k_group_rows * (2 * k_score_stride + k_pair_stride) + k_max_rows * row + 16);
}

static inline Scratch carve_scratch(void* memory, int64_t head_dim_v) {
    Scratch s{};
    s.o_stride = round_up(head_dim_v, k_lane);
    s.scores = static_cast<float*>(memory);
    s.pairs = s.scores + k_group_rows * k_score_stride;
    s.q = s.pairs + k_group_rows * k_pair_stride;
    s.o = s.q + k_max_rows * k_q_stride;
    s.l = s.o + k_max_rows * s.o_stride;
    s.m = s.l + k_max_rows * 16;
    s.more_scores = s.m + k_max_rows + 16;
    return s;
}

}  // namespace relayattn::cpu
