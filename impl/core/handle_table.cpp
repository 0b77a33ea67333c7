#include "impl/core/handle_table.h"

#include <mutex>
#include <utility>

namespace relayattn {
namespace {

constexpr uint32_t last_generation = 0xFFFFFF;

uint64_t make_token(Kind kind, uint32_t generation, uint32_t index) {
    return (static_cast<uint64_t>(kind) << 56) | (static_cast<uint64_t>(generation) << 32) | index;
}

}  // namespace

HandleTable::Reservation::Reservation(HandleTable& table, Kind kind)
    : table_(table), kind_(kind), index_(table.reserve()) {}

HandleTable::Reservation::~Reservation() {
    if (!filled_)
        table_.unreserve(index_);
}

uint64_t HandleTable::Reservation::fill(std::shared_ptr<void> object) noexcept {
    filled_ = true;
    return table_.fill(index_, kind_, std::move(object));
}

uint32_t HandleTable::reserve() {
    const std::unique_lock lock(mutex_);
    if (!free_.empty()) {
        const uint32_t index = free_.back();
        free_.pop_back();
        return index;
    }
    // Room for every slot's return, so that releasing never allocates.
    free_.reserve(slots_.size() + 1);
    slots_.emplace_back();
    return static_cast<uint32_t>(slots_.size() - 1);
}

void HandleTable::unreserve(uint32_t index) noexcept {
    const std::unique_lock lock(mutex_);
    free_.push_back(index);
}

uint64_t HandleTable::fill(uint32_t index, Kind kind, std::shared_ptr<void> object) noexcept {
    const std::unique_lock lock(mutex_);
    Slot& slot = slots_[index];
    slot.object = std::move(object);
    slot.kind = kind;
    return make_token(kind, slot.generation, index);
}

const HandleTable::Slot* HandleTable::live_slot(uint64_t token, Kind kind) const noexcept {
    const auto index = static_cast<uint32_t>(token);
    return index < slots_.size() && slots_[index].is(token, kind) ? &slots_[index] : nullptr;
}

std::shared_ptr<void> HandleTable::find(uint64_t token, Kind kind) const noexcept {
    const std::shared_lock lock(mutex_);
    const Slot* slot = live_slot(token, kind);
    return slot == nullptr ? nullptr : slot->object;
}

std::shared_ptr<void> HandleTable::remove(uint64_t token, Kind kind) noexcept {
    const std::unique_lock lock(mutex_);
    if (live_slot(token, kind) == nullptr)
        return nullptr;
    const auto index = static_cast<uint32_t>(token);
    Slot& slot = slots_[index];
    slot.kind = Kind::none;
    if (slot.generation < last_generation) {
        ++slot.generation;
        free_.push_back(index);
    }
    return std::move(slot.object);
}

}  // namespace relayattn
