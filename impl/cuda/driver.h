// The few driver calls that the runtime API has no equal for, and the GPU's primary context.
#pragma once

#include <cuda.h>

#include <cstdint>

#include "impl/core/result.h"

namespace relayattn::cuda {

// One GPU and its primary context, which this object keeps alive.
class Gpu {
  public:
    static Result<Gpu> open(int64_t ordinal);
    Gpu(Gpu&& other) noexcept;
    Gpu& operator=(Gpu&&) = delete;
    ~Gpu();

    int ordinal() const { return ordinal_; }
    int sm() const { return sm_; }  // 90 = compute capability 9.0
    int num_sms() const { return num_sms_; }
    int shared_bytes() const { return shared_bytes_; }  // most that one block may ask for

    // Makes the primary context current for its lifetime; the caller's, if any, comes back after.
    class Current {
      public:
        explicit Current(const Gpu& gpu);
        ~Current();
        Current(const Current&) = delete;
        Current& operator=(const Current&) = delete;

      private:
        bool pushed_;
    };

  private:
    Gpu() = default;

    CUcontext context_ = nullptr;
    int ordinal_ = 0;
    int sm_ = 0;
    int num_sms_ = 0;
    int shared_bytes_ = 0;
};

// While alive, this thread may call what another thread's stream capture would otherwise forbid
// (allocate, query events). Never around an attend: there the ban proves that it does neither.
class RelaxedCapture {
  public:
    RelaxedCapture();
    ~RelaxedCapture();
    RelaxedCapture(const RelaxedCapture&) = delete;
    RelaxedCapture& operator=(const RelaxedCapture&) = delete;

  private:
    int mode_;
};

}  // namespace relayattn::cuda
