// One small cache under a fuzzer: handles of every kind and age, and calls with any of them.
#pragma once

#include <relayattn/relayattn.h>

#include <array>
#include <cstdint>
#include <vector>

#include "reader.h"

namespace relayattn::fuzz {

// What calls read and write: as large as the largest step needs. Made once, since a fuzzer makes
// thousands of worlds a second.
struct Memory {
    std::vector<char> in = std::vector<char>(1 << 20), out = std::vector<char>(1 << 20);
    std::vector<float> floats = std::vector<float>(1 << 8), lse = std::vector<float>(1 << 17);
    std::array<uint8_t, 1 << 13> mask{};
};

class World {
  public:
    explicit World(Reader& reader);
    World(const World&) = delete;
    World& operator=(const World&) = delete;
    ~World();  // releases everything and checks that every page is free

    // One call, chosen and filled by the next bytes.
    void act();

  private:
    static constexpr int64_t slots = 4;  // for handles of each kind
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
    ra_status begin(ra_batch batch);
    void step();
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

    // A handle of the right kind, live or stale, if there is one; sometimes one of any other kind.
    template <class Handle>
    Handle pick(std::array<Handle, slots>& handles) {
        if (reader_.one_in(40))
            return static_cast<Handle>(any_handle());
        const int64_t first = reader_.below(slots);
        for (int64_t i = 0; i < slots; ++i)
            if (const Handle handle = handles[static_cast<size_t>((first + i) % slots)])
                return handle;
        return nullptr;
    }
    void* any_handle();
    template <class Handle>
    Handle& slot(std::array<Handle, slots>& handles) {
        return handles[static_cast<size_t>(reader_.below(slots))];
    }

    ra_view view(std::vector<char>& memory);
    ra_kv draw_kv();
    ra_attend_args draw_attend(int64_t layer);

    Reader& reader_;
    ra_context context_ = nullptr;
    ra_model model_ = nullptr;
    ra_cache cache_ = nullptr;
    std::array<ra_prefix, slots> prefixes_{};
    std::array<ra_sequence, slots> sequences_{};
    std::array<ra_batch, slots> batches_{};
    int64_t num_layers_ = 1;
    std::array<ra_layer_options, 3> layers_{};
    int64_t num_groups_ = 0;
    Memory& memory_;
};

}  // namespace relayattn::fuzz
