// The C boundary: exceptions end here, handles become objects, errors become codes and text.
#pragma once

#include <relayattn/relayattn.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>

#include "impl/core/handle_table.h"
#include "impl/core/result.h"

namespace relayattn::capi {

HandleTable& handles();

// Keeps `text` as this thread's last error; allocates nothing, since memory may be what is short.
void set_last_error(const char* function, const char* text) noexcept;
ra_status status_of(Code code) noexcept;

// Runs the body of a C function: Result<void> body().
template <class Body>
ra_status guarded(const char* function, Body&& body) noexcept {
    try {
        const Result<void> done = body();
        if (done)
            return RA_OK;
        set_last_error(function, done.error().text.c_str());
        return status_of(done.error().code);
    } catch (const std::bad_alloc&) {
        set_last_error(function, "out of host memory");
        return RA_ERROR_MEMORY;
    } catch (...) {
        set_last_error(function, "unexpected failure inside the library");
        return RA_ERROR_INTERNAL;
    }
}

template <class Handle>
uint64_t token_of(Handle handle) {
    return static_cast<uint64_t>(reinterpret_cast<uintptr_t>(handle));
}

template <class Handle>
Handle handle_of(uint64_t token) {
    return reinterpret_cast<Handle>(static_cast<uintptr_t>(token));
}

// Which object a handle type stands for.
template <class Handle>
struct HandleTraits;

template <class Handle>
auto look_up(Handle handle, const char* name)
    -> Result<std::shared_ptr<typename HandleTraits<Handle>::Object>> {
    using Traits = HandleTraits<Handle>;
    if (handle == nullptr)
        return error(Code::handle, name, " is null; it must be a live ", Traits::name);
    std::shared_ptr<void> found = handles().find(token_of(handle), Traits::kind);
    if (found == nullptr)
        return error(Code::handle, name, " is not a live ", Traits::name,
                     ": it was released, or is of another kind");
    return std::static_pointer_cast<typename Traits::Object>(found);
}

// Releases whatever the handle stands for; a stale or null one is nothing to release.
template <class Handle>
void release(Handle handle) noexcept {
    if (handle == nullptr)
        return;
    // The object dies here, after the table's lock is left.
    const std::shared_ptr<void> object =
        handles().remove(token_of(handle), HandleTraits<Handle>::kind);
}

inline Result<void> require(const void* pointer, const char* name) {
    if (pointer == nullptr)
        return error(Code::argument, name, " is null");
    return {};
}

// Copies a versioned struct that came in. `first_size` is what the first release's struct had;
// bytes beyond what this library knows must be zero.
template <class T>
Result<T> take_struct(const T* given, const char* name, int64_t first_size = sizeof(T)) {
    if (given == nullptr)
        return error(Code::argument, name, " is null");
    const int64_t size = given->struct_size;
    constexpr int64_t most = 4096;
    if (size < first_size || size > most)
        return error(Code::argument, name, "->struct_size is ", size, "; it must be from ",
                     first_size, " to ", most);
    T known{};
    const auto* bytes = reinterpret_cast<const unsigned char*>(given);
    std::memcpy(&known, bytes, std::min(static_cast<size_t>(size), sizeof(T)));
    for (int64_t i = sizeof(T); i < size; ++i) {
        if (bytes[i] != 0)
            return error(Code::argument, name, " has a field at byte ", i,
                         " that this version of the library does not know");
    }
    return known;
}

// Whether a struct of the caller's size can be filled.
template <class T>
Result<void> check_room(const T* out, int64_t size, const char* name,
                        int64_t first_size = sizeof(T)) {
    if (out == nullptr)
        return error(Code::argument, name, " is null");
    constexpr int64_t most = 4096;
    if (size < first_size || size > most)
        return error(Code::argument, name, ": struct_size is ", size, "; it must be from ",
                     first_size, " to ", most);
    return {};
}

// Fills a struct that goes out, up to the caller's size and no byte beyond it.
template <class T>
Result<void> give_struct(const T& full, T* out, int64_t size, const char* name,
                         int64_t first_size = sizeof(T)) {
    if (Result<void> ok = check_room(out, size, name, first_size); !ok)
        return ok;
    std::memset(static_cast<void*>(out), 0, static_cast<size_t>(size));
    std::memcpy(static_cast<void*>(out), &full, std::min(static_cast<size_t>(size), sizeof(T)));
    out->struct_size = size;
    return {};
}

}  // namespace relayattn::capi
