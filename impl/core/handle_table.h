// Generation-checked handles.
//
// A handle is a 64-bit token, never a pointer:  [ kind : 8 | generation : 24 | index : 32 ]
// A slot's generation grows at every release, so a stale token never finds a later object. A slot
// whose generations are used up is retired.
#pragma once

#include <cstdint>
#include <memory>
#include <shared_mutex>
#include <vector>

namespace relayattn {

enum class Kind : uint8_t { none = 0, context = 1, model, cache, prefix, sequence, batch };

class HandleTable {
  public:
    // A slot taken before the work that fills it, so that filling cannot fail.
    class Reservation {
      public:
        Reservation(HandleTable& table, Kind kind);
        ~Reservation();
        Reservation(const Reservation&) = delete;
        Reservation& operator=(const Reservation&) = delete;

        uint64_t fill(std::shared_ptr<void> object) noexcept;

      private:
        HandleTable& table_;
        Kind kind_;
        uint32_t index_;
        bool filled_ = false;
    };

    // Null if the token is not a live handle of this kind.
    std::shared_ptr<void> find(uint64_t token, Kind kind) const noexcept;
    // Shows many objects to visit(void*) under one lock, which keeps them alive for that long;
    // returns how many leading tokens were found. Counts no references: that costs more than all
    // else that a step does with a sequence.
    template <class Visit>
    int64_t visit_all(const uint64_t* tokens, int64_t count, Kind kind, Visit visit) const;

    // Forgets the handle and hands its object over, to be dropped outside the table's lock.
    std::shared_ptr<void> remove(uint64_t token, Kind kind) noexcept;

  private:
    struct Slot {
        std::shared_ptr<void> object;
        uint32_t generation = 1;
        Kind kind = Kind::none;

        // Whether it is alive, of this kind, and what the token was given for.
        bool is(uint64_t token, Kind wanted) const {
            const auto high = (static_cast<uint32_t>(wanted) << 24) | generation;
            return kind == wanted && token >> 32 == high;
        }
    };

    uint32_t reserve();
    void unreserve(uint32_t index) noexcept;
    uint64_t fill(uint32_t index, Kind kind, std::shared_ptr<void> object) noexcept;
    const Slot* live_slot(uint64_t token, Kind kind) const noexcept;

    mutable std::shared_mutex mutex_;
    std::vector<Slot> slots_;
    std::vector<uint32_t> free_;
};

template <class Visit>
int64_t HandleTable::visit_all(const uint64_t* tokens, int64_t count, Kind kind,
                               Visit visit) const {
    const std::shared_lock lock(mutex_);
    const Slot* const slots = slots_.data();
    const size_t num_slots = slots_.size();
    for (int64_t i = 0; i < count; ++i) {
        const uint64_t token = tokens[i];
        const auto index = static_cast<uint32_t>(token);
        if (index >= num_slots || !slots[index].is(token, kind))
            return i;
        visit(slots[index].object.get());
    }
    return count;
}

}  // namespace relayattn
