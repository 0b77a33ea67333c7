// A node of the prefix tree: an immutable run of tokens that its children go on from.
//
// Nodes know their parents, never their children: a node lives as long as a prefix, a sequence or a
// node below holds it. Splitting a node puts a new one above it and moves its first tokens there,
// so that everything that holds the node keeps its meaning. The cache's mutex guards every node.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "impl/core/extent.h"
#include "impl/core/page_pool.h"

namespace relayattn {

struct Node {
    Node(std::vector<PagePool>& pools, int64_t begin, int64_t end);
    ~Node();
    Node(const Node&) = delete;
    Node& operator=(const Node&) = delete;

    std::shared_ptr<Node> parent;
    std::vector<PagePool>& pools;
    int64_t begin;  // positions [begin, end)
    int64_t end;
    std::vector<Extent> extents;  // per page pool
    bool is_open = false;         // its tokens are still being written

    // Scratch of the step that is being planned: which run of the forest this node is.
    mutable uint64_t mark = 0;
    mutable int32_t run = -1;
};

// A number that no mark left on a node or a sequence has yet.
uint64_t next_mark();

// The node of the chain that ends at `position`, made by a split where none does; null for 0.
// Requires position <= tail's end.
std::shared_ptr<Node> node_ending_at(const std::shared_ptr<Node>& tail, int64_t position,
                                     int64_t page_size);

// The first position from which `pool` still holds every token up to the chain's end.
int64_t held_from(const Node* tail, size_t pool);

}  // namespace relayattn
