#include "impl/core/node.h"

#include <atomic>
#include <utility>

namespace relayattn {

Node::Node(std::vector<PagePool>& pools_in, int64_t begin_in, int64_t end_in)
    : pools(pools_in), begin(begin_in), end(end_in), extents(pools_in.size()) {
    for (Extent& extent : extents)
        extent.begin = begin_in;
}

Node::~Node() {
    for (size_t i = 0; i < extents.size(); ++i)
        release_pages(extents[i], pools[i]);
    // Unlinks a long chain in a loop: one destructor inside another would exhaust the stack.
    std::shared_ptr<Node> next = std::move(parent);
    while (next != nullptr && next.use_count() == 1) {
        std::shared_ptr<Node> above = std::move(next->parent);
        next = std::move(above);
    }
}

uint64_t next_mark() {
    static std::atomic<uint64_t> last{0};
    return last.fetch_add(1, std::memory_order_relaxed) + 1;
}

namespace {

// Puts the tokens of `node` before `position` into a new parent.
std::shared_ptr<Node> split(Node& node, int64_t position, int64_t page_size) {
    auto head = std::make_shared<Node>(node.pools, node.begin, position);
    for (size_t i = 0; i < node.extents.size(); ++i)
        prepare_head(node.extents[i], position, page_size, head->extents[i]);
    for (size_t i = 0; i < node.extents.size(); ++i)
        cut_head(node.extents[i], position, page_size, node.pools[i], head->extents[i]);
    head->parent = std::move(node.parent);
    node.parent = head;
    node.begin = position;
    return head;
}

}  // namespace

std::shared_ptr<Node> node_ending_at(const std::shared_ptr<Node>& tail, int64_t position,
                                     int64_t page_size) {
    std::shared_ptr<Node> node = tail;
    while (node != nullptr && node->begin >= position)
        node = node->parent;
    if (node == nullptr || node->end == position)
        return node;
    return split(*node, position, page_size);
}

int64_t held_from(const Node* tail, size_t pool) {
    for (const Node* node = tail; node != nullptr; node = node->parent.get()) {
        const int64_t begin = node->extents[pool].begin;
        if (begin > node->begin)
            return begin;
    }
    return 0;
}

}  // namespace relayattn
