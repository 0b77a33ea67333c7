// What is timed: a forest of prefixes, the sequences below them, and the names of the usual ones.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

namespace relayattn::bench {

// A bad argument of the program: one sentence, exit code 2.
struct UsageError : std::runtime_error {
    using std::runtime_error::runtime_error;
};

struct SharedPrefix {
    int64_t parent;  // index of an earlier prefix, -1 = none
    int64_t tokens;  // its own
};

struct Row {
    int64_t prefix;  // index, -1 = none
    int64_t tail;    // the sequence's own tokens, the step's new ones included
};

struct Shape {
    std::string name;
    std::string spelled;  // as B,Hq/Hkv,D,Lp,Ls; empty where that cannot describe it
    int64_t q_heads = 0, kv_heads = 0, head_dim = 0;
    std::vector<SharedPrefix> prefixes;
    std::vector<Row> rows;
    int64_t q_len = 1;
    int64_t page_size = 0;  // 0 = the library's choice

    int64_t num_rows() const { return static_cast<int64_t>(rows.size()); }
    int64_t chain_tokens(int64_t prefix) const;  // own and inherited; 0 for -1
    int64_t tail_tokens() const;                 // of all rows
};

// The shapes of a group (standard, cpu, trees, odd), of a model, of one name, or the one that
// "B,Hq/Hkv,D,Lp,Ls[,q]" describes; throws UsageError.
std::vector<Shape> find_shapes(const std::string& text);

// Every group's name, and below it its shapes' names and how else they may be spelled.
std::string list_shapes();

}  // namespace relayattn::bench
