// One step's attention work for one layer group, as plain data that every backend runs.
//
//   item   = pieces of KV (in order of position) x query tokens, for every KV head
//   piece  = consecutive token slots of one run, named by entries of page_table
//   token  = one query token of the step; it owns num_q_heads rows of q and out
//
// A token that a single item covers gets its output from that item. Otherwise each item leaves a
// float32 partial (o, lse) for it, and the finish merges them in the fixed order of partial_index,
// so that a result does not depend on timing. Items [0, num_many) have many rows per KV head
// (relay), the rest few (tails); each part is ordered longest first.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace relayattn {

struct Piece {
    int32_t table_offset;  // first entry in page_table
    int32_t first_slot;    // in that page
    int32_t num_tokens;    // may cross pages: slot first_slot + i is page (..)/page_size
    int32_t position;      // of its first token, in the sequences that see it
};

struct Item {
    int32_t first_piece;
    int32_t num_pieces;
    int32_t num_kv_tokens;  // sum over its pieces
    int32_t first_token;    // in item_tokens
    int32_t num_tokens;     // query tokens
    int32_t partial;  // partial of its first query token (consecutive), or -1: writes the output
    int32_t masked;   // 0: every token sees every key of every piece
    int32_t tree;     // 1: pieces reach new tokens under a tree mask (then masked is 1 too)
};

struct QueryToken {
    int32_t position;
    int32_t visible_begin;  // sees key positions [begin, end)
    int32_t visible_end;
    int32_t new_begin;  // position of its sequence's first new token (bit 0 of its tree mask row)
    int32_t first_partial;  // in partial_index
    int32_t num_partials;   // -1: an item writes its output; 0: it sees nothing
};

struct WorkList {
    std::vector<Item> items;
    int32_t num_many = 0;
    std::vector<Piece> pieces;
    std::vector<int32_t> page_table;
    std::vector<int32_t> item_tokens;    // indexes of tokens
    std::vector<QueryToken> tokens;      // in row order of q and out
    std::vector<int32_t> partial_index;  // partials of each merged token, in order of position
    std::vector<int32_t> merged_tokens;  // tokens with num_partials >= 0
    std::vector<int64_t> slots;  // per token: page * page_size + offset for its k, v; -1 = not kept
    int32_t num_partials = 0;
    int64_t padded_tokens = 0;           // rows of q/out after the real ones: out = 0, lse = -inf
    const uint8_t* tree_mask = nullptr;  // device memory, row = token
    int64_t tree_stride = 0;

    int64_t num_tokens() const { return static_cast<int64_t>(tokens.size()); }
};

}  // namespace relayattn
