// A device in use, and where its messages go.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "impl/backend.h"
#include "impl/core/plan/figures_file.h"

namespace relayattn {

class Context {
  public:
    using Log = void (*)(void* user, int32_t level, const char* text);
    enum Level : int32_t { info = 0, warning = 1 };

    explicit Context(std::unique_ptr<Backend> backend, FiguresTable measured = {})
        : backend_(std::move(backend)), measured_(std::move(measured)) {}

    Backend& backend() const { return *backend_; }

    // The backend's, or what was measured on this machine.
    DeviceFigures figures(const Layer& layer) const {
        DeviceFigures figures = backend_->figures(layer);
        measured_.apply(backend_->info(), layer, figures);
        return figures;
    }

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
    const FiguresTable measured_;
    mutable std::mutex mutex_;
    Log log_ = nullptr;
    void* user_ = nullptr;
};

}  // namespace relayattn
