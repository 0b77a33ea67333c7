// Walks the pieces of an item in steps of at most job.step_columns columns. A column is one slot of
// a K block, used or not; steps depend on the pieces alone, never on the rows.
#pragma once

#include "impl/cpu/job.h"
#include "impl/cpu/kernels/elements.h"

namespace relayattn::cpu {
namespace {

constexpr int64_t k_max_blocks = k_max_columns / k_lane;
constexpr int64_t k_cache_line = 64;

// Consecutive slots of one page.
struct Segment {
    const void* k;  // K and V of the page and head
    const void* v;
    int64_t slot;    // of the first token, in the page
    int32_t column;  // of the first block's first slot
    int32_t lead;    // unused slots before the first token in its block
    int32_t tokens;
    int32_t end_column;  // after the last block
    int32_t position;    // of the first token
};

// While a step is first read, what is read after it is prefetched: V while scores are made of K,
// the next step's K while V is weighed. Both are of like size.
struct Step {
    const void* k_blocks[k_max_blocks];
    const void* v_blocks[k_max_blocks];  // V of a block's first slot
    const void* next_v[k_max_blocks];    // a block's part of V of its page and head
    const void* next_k[k_max_blocks];    // first block of the next step's segment; null = none
    Segment segments[k_max_blocks];
    int32_t num_segments;
    int32_t columns;
    bool ragged;  // some column holds no token of the item

    int32_t begin_position() const { return segments[0].position; }
    int32_t end_position() const {
        const Segment& last = segments[num_segments - 1];
        return last.position + last.tokens;
    }
};

struct Cursor {
    const Piece* piece;
    const Piece* end;
    int64_t done;  // tokens of *piece already walked
};

inline Cursor pieces_of(const AttendJob& job, const Item& item) {
    const Piece* pieces = job.pieces + item.first_piece;
    return {pieces, pieces + item.num_pieces, 0};
}

template <class T>
inline bool add_segment(const AttendJob& job, int64_t head, Cursor& cursor, Step& step) {
    const PackedLayout& p = job.layout;
    const Piece& piece = *cursor.piece;
    const int64_t at = piece.first_slot + cursor.done;
    const int64_t page = job.page_table[piece.table_offset + at / p.page_size];
    Segment& s = step.segments[step.num_segments];
    s.slot = at % p.page_size;
    s.lead = static_cast<int32_t>(s.slot % k_lane);
    int64_t tokens = piece.num_tokens - cursor.done;
    const int64_t in_page = p.page_size - s.slot;
    const int64_t in_step = job.step_columns - step.columns - s.lead;
    tokens = tokens < in_page ? tokens : in_page;
    tokens = tokens < in_step ? tokens : in_step;
    s.tokens = static_cast<int32_t>(tokens);
    s.position = static_cast<int32_t>(piece.position + cursor.done);
    s.column = step.columns;
    s.end_column = static_cast<int32_t>(round_up(step.columns + s.lead + tokens, k_lane));
    s.k = reinterpret_cast<const T*>(job.k_pages) + page * p.k_page + head * p.k_head;
    s.v = reinterpret_cast<const T*>(job.v_pages) + page * p.v_page + head * p.v_head;
    int64_t block = s.slot / k_lane;
    for (int64_t c = s.column; c < s.end_column; c += k_lane) {
        step.k_blocks[c / k_lane] = static_cast<const T*>(s.k) + block * p.k_block;
        step.v_blocks[c / k_lane] = static_cast<const T*>(s.v) + block * (k_lane * k_lane);
        step.next_v[c / k_lane] = static_cast<const T*>(s.v) + block * k_lane * p.head_dim_v;
        ++block;
    }
    step.ragged |= s.end_column - s.column != s.tokens;
    step.columns = s.end_column;
    ++step.num_segments;
    cursor.done += tokens;
    if (cursor.done == piece.num_tokens) {
        ++cursor.piece;
        cursor.done = 0;
    }
    return step.columns < job.step_columns;
}

// False when no token is left.
template <class T>
inline bool next_step(const AttendJob& job, int64_t head, Cursor& cursor, Step& step) {
    step.num_segments = 0;
    step.columns = 0;
    step.ragged = false;
    bool room = true;
    while (room && cursor.piece != cursor.end) {
        if (cursor.piece->num_tokens == 0) {
            ++cursor.piece;
            continue;
        }
        room = add_segment<T>(job, head, cursor, step);
    }
    return step.num_segments > 0;
}

inline void look_ahead(Step& step, const Step& next) {
    for (int32_t s = 0; s < step.num_segments; ++s) {
        step.next_k[s] =
            s < next.num_segments ? next.k_blocks[next.segments[s].column / k_lane] : nullptr;
    }
}

}  // namespace
}  // namespace relayattn::cpu
