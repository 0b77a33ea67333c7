// One small cache under a fuzzer: handles of every kind and age, and calls with any of them.
#pragma once

#include <relayattn/relayattn.h>

#include <array>
#include <cstdint>
#include <vector>

#include "reader.h"

namespace relayattn::fuzz {

class World {
  public:
    explicit World(Reader& reader);
    World(const World&) = delete;
    World& operator=(const World&) = delete;
    ~World();  // releases everything and checks that every page is free

    // One call, chosen and filled by the next bytes.
    void act();

  private:
    using Action = void (World::*)();

    void draw_model();
    void draw_cache();
    ra_layer_options draw_layer(int64_t index);

    void create_prefix();
    void write_prefix();
    void read_prefix();
    void seal_prefix();
    void split_prefix();
    void freeze();
    void release_prefix();
    void attach();
    void fork();
    void truncate();
    void list_pages();
    void release_sequence();
    void create_batch();
    void begin();
    void begin_dummy();
    void attend();
    void attend_worker();
    void commit();
    void abort();
    void query();
    void release_batch();
    void merge();
    void release_anything();

    // The status is one that the header names, and never an internal one.
    void check(ra_status status) const;
    void check_pages() const;

    // A handle of the right kind, live or stale; sometimes one of any other kind.
    template <class Handle>
    Handle pick(std::array<Handle, 6>& slots) {
        return reader_.one_in(40) ? static_cast<Handle>(any_handle()) : slot(slots);
    }
    void* any_handle();
    template <class Handle>
    Handle& slot(std::array<Handle, 6>& slots) {
        return slots[static_cast<size_t>(reader_.below(6))];
    }

    ra_view view(std::vector<char>& memory);
    ra_kv draw_kv();
    ra_attend_args draw_attend();

    Reader& reader_;
    ra_context context_ = nullptr;
    ra_model model_ = nullptr;
    ra_cache cache_ = nullptr;
    std::array<ra_prefix, 6> prefixes_{};
    std::array<ra_sequence, 6> sequences_{};
    std::array<ra_batch, 6> batches_{};
    int64_t num_layers_ = 1;
    int64_t num_groups_ = 0;
    std::vector<char> in_, out_;
    std::vector<float> floats_, lse_;
    // What an open batch may read until it is closed.
    std::array<uint8_t, 1 << 13> mask_{};
};

}  // namespace relayattn::fuzz
