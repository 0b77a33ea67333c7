// A device in use, and where its messages go.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "impl/backend.h"

namespace relayattn {

class Context {
  public:
    using Log = void (*)(void* user, int32_t level, const char* text);
    enum Level : int32_t { info = 0, warning = 1 };

    explicit Context(std::unique_ptr<Backend> backend) : backend_(std::move(backend)) {}

    Backend& backend() const { return *backend_; }

    void set_log(Log sink, void* user) {
        const std::lock_guard lock(mutex_);
        log_ = sink;
        user_ = user;
    }

    void log(Level level, const std::string& text) const {
        const std::lock_guard lock(mutex_);
        if (log_ != nullptr)
            log_(user_, level, text.c_str());
    }

  private:
    std::unique_ptr<Backend> backend_;
    mutable std::mutex mutex_;
    Log log_ = nullptr;
    void* user_ = nullptr;
};

}  // namespace relayattn
