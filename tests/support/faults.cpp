#include "faults.h"

#include <link.h>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <new>

namespace relayattn::test::faults {
namespace {

std::atomic<bool> armed{false};
std::atomic<bool> refused{false};
std::atomic<int64_t> allocations{0};
std::atomic<int64_t> victim{0};

bool is_refused() {
    if (!armed.load() || ++allocations != victim.load())
        return false;
    refused = true;
    return true;
}

void* allocate(std::size_t size, std::size_t alignment) noexcept {
    if (is_refused())
        return nullptr;
    const std::size_t bytes = (size + alignment) / alignment * alignment;
    return std::aligned_alloc(alignment, bytes);
}

void* allocate_or_throw(std::size_t size, std::size_t alignment) {
    void* data = allocate(size, alignment);
    if (data == nullptr)
        throw std::bad_alloc();
    return data;
}

constexpr std::size_t usual = __STDCPP_DEFAULT_NEW_ALIGNMENT__;

}  // namespace

bool reaches_the_library() {
    const auto is_runtime = [](dl_phdr_info* object, size_t, void*) {
        const char* name = object->dlpi_name;
        return std::strstr(name, "libstdc++.so") != nullptr ||
                       std::strstr(name, "libc++.so") != nullptr
                   ? 1
                   : 0;
    };
    return dl_iterate_phdr(is_runtime, nullptr) != 0;
}

void fail_allocation(int64_t nth) {
    allocations = 0;
    victim = nth;
    refused = false;
    armed = true;
}

Count disarm() {
    armed = false;
    return {allocations.load(), refused.load()};
}

}  // namespace relayattn::test::faults

using namespace relayattn::test::faults;

void* operator new(std::size_t size) {
    return allocate_or_throw(size, usual);
}
void* operator new[](std::size_t size) {
    return allocate_or_throw(size, usual);
}
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
    return allocate(size, usual);
}
void* operator new[](std::size_t size, const std::nothrow_t&) noexcept {
    return allocate(size, usual);
}
void* operator new(std::size_t size, std::align_val_t to) {
    return allocate_or_throw(size, static_cast<std::size_t>(to));
}
void* operator new[](std::size_t size, std::align_val_t to) {
    return allocate_or_throw(size, static_cast<std::size_t>(to));
}
void* operator new(std::size_t size, std::align_val_t to, const std::nothrow_t&) noexcept {
    return allocate(size, static_cast<std::size_t>(to));
}
void* operator new[](std::size_t size, std::align_val_t to, const std::nothrow_t&) noexcept {
    return allocate(size, static_cast<std::size_t>(to));
}
void operator delete(void* data) noexcept {
    std::free(data);
}
void operator delete[](void* data) noexcept {
    std::free(data);
}
void operator delete(void* data, std::size_t) noexcept {
    std::free(data);
}
void operator delete[](void* data, std::size_t) noexcept {
    std::free(data);
}
void operator delete(void* data, const std::nothrow_t&) noexcept {
    std::free(data);
}
void operator delete[](void* data, const std::nothrow_t&) noexcept {
    std::free(data);
}
void operator delete(void* data, std::align_val_t) noexcept {
    std::free(data);
}
void operator delete[](void* data, std::align_val_t) noexcept {
    std::free(data);
}
void operator delete(void* data, std::size_t, std::align_val_t) noexcept {
    std::free(data);
}
void operator delete[](void* data, std::size_t, std::align_val_t) noexcept {
    std::free(data);
}
void operator delete(void* data, std::align_val_t, const std::nothrow_t&) noexcept {
    std::free(data);
}
void operator delete[](void* data, std::align_val_t, const std::nothrow_t&) noexcept {
    std::free(data);
}
