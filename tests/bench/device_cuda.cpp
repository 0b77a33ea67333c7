#include <relayattn/relayattn.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "cuda_kernels.h"
#include "cuda_matrix_rate.h"
#include "device.h"

namespace relayattn::bench {
namespace {

// Two events and the stream between them.
class Stopwatch {
  public:
    explicit Stopwatch(cudaStream_t stream) : stream_(stream) {
        must(cudaEventCreate(&start_));
        must(cudaEventCreate(&stop_));
    }
    ~Stopwatch() {
        cudaEventDestroy(start_);
        cudaEventDestroy(stop_);
    }
    Stopwatch(const Stopwatch&) = delete;
    Stopwatch& operator=(const Stopwatch&) = delete;

    // Seconds that the enqueued work takes. The stream is held first, so that all of it is enqueued
    // before the clock starts.
    double time(const std::function<void()>& enqueue) {
        constexpr int64_t hold_ns = 100000;
        launch_hold(hold_ns, stream_);
        must(cudaEventRecord(start_, stream_));
        enqueue();
        must(cudaGetLastError());  // of a launch
        must(cudaEventRecord(stop_, stream_));
        must(cudaEventSynchronize(stop_));
        float milliseconds = 0;
        must(cudaEventElapsedTime(&milliseconds, start_, stop_));
        return static_cast<double>(milliseconds) * 1e-3;
    }

  private:
    cudaStream_t stream_;
    cudaEvent_t start_ = nullptr, stop_ = nullptr;
};

class EnqueuedTimed final : public Timed {
  public:
    EnqueuedTimed(cudaStream_t stream, Device::Enqueue work)
        : stream_(stream), watch_(stream), work_(std::move(work)) {}
    Sample run() override {
        return {watch_.time([this] { work_(stream_); }), true};
    }

  private:
    cudaStream_t stream_;
    Stopwatch watch_;
    Device::Enqueue work_;
};

class GraphTimed final : public Timed {
  public:
    GraphTimed(cudaStream_t stream, const Device::Enqueue& work) : stream_(stream), watch_(stream) {
        cudaGraph_t graph = nullptr;
        must(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
        work(stream);
        must(cudaStreamEndCapture(stream, &graph));
        must(cudaGraphInstantiate(&ready_, graph, 0));
        must(cudaGraphDestroy(graph));
        must(cudaGraphUpload(ready_, stream));
    }
    ~GraphTimed() override { cudaGraphExecDestroy(ready_); }
    Sample run() override {
        return {watch_.time([this] { must(cudaGraphLaunch(ready_, stream_)); }), true};
    }

  private:
    cudaStream_t stream_;
    Stopwatch watch_;
    cudaGraphExec_t ready_ = nullptr;
};

class CudaDevice final : public Device {
  public:
    explicit CudaDevice(int64_t ordinal) {
        must(cudaSetDevice(static_cast<int>(ordinal)));
        must(cudaGetDeviceProperties(&properties_, static_cast<int>(ordinal)));
        must(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking));
        buffer_ = allocate(k_flush_size + k_read_size);
        must(cudaMemset(buffer_, 1, static_cast<size_t>(k_flush_size + k_read_size)));
        ceilings_.matrix = {{"cublas f32", 0, RA_F32, 0},
                            {"cublas f16", 0, RA_F16, 0},
                            {"cublas bf16", 0, RA_BF16, 0}};
    }
    ~CudaDevice() override {
        cudaFree(buffer_);
        cudaStreamDestroy(stream_);
    }
    CudaDevice(const CudaDevice&) = delete;
    CudaDevice& operator=(const CudaDevice&) = delete;

    void* allocate(int64_t bytes) override {
        void* data = nullptr;
        must(cudaMalloc(&data, static_cast<size_t>(std::max<int64_t>(bytes, 1))));
        return data;
    }
    void release(void* data) noexcept override { cudaFree(data); }
    void upload(void* to, const void* host, int64_t bytes) override {
        // Not cudaMemcpy: it may come back while the last bytes are still on their way, and this
        // stream does not wait for the one that carries them.
        must(
            cudaMemcpyAsync(to, host, static_cast<size_t>(bytes), cudaMemcpyHostToDevice, stream_));
        synchronise();
    }
    void download(void* host, const void* from, int64_t bytes) override {
        synchronise();
        must(cudaMemcpy(host, from, static_cast<size_t>(bytes), cudaMemcpyDeviceToHost));
    }
    void* queue() override { return stream_; }
    void synchronise() override { must(cudaStreamSynchronize(stream_)); }

    std::unique_ptr<Timed> prepare(Enqueue work, bool graph) override {
        if (graph)
            return std::make_unique<GraphTimed>(stream_, work);
        return std::make_unique<EnqueuedTimed>(stream_, std::move(work));
    }
    std::unique_ptr<Timed> prepare_read(int64_t bytes, bool graph) override {
        return prepare([this, bytes](void*) { read_beyond_flush(bytes); }, graph);
    }
    Range read_range(int64_t bytes) override {
        return {static_cast<const char*>(buffer_) + k_flush_size, std::min(bytes, k_read_size)};
    }
    // The whole L2, by reading: dirty lines would cost the next kernel their writing back.
    void flush_caches(const std::vector<Range>&) override {
        launch_read(buffer_, k_flush_size, stream_);
    }

    const Ceilings& measure_ceilings() override {
        Stopwatch watch(stream_);
        for (int tries = 0; tries < 8; ++tries) {
            const double seconds = watch.time([this] { read_beyond_flush(k_read_size); });
            ceilings_.read = std::max(ceilings_.read, static_cast<double>(k_read_size) / seconds);
        }
        for (MatrixRate& rate : ceilings_.matrix)
            rate.flops = std::max(rate.flops, matrix_rate(rate.dtype, stream_));
        return ceilings_;
    }
    bool judged_by_minimum() const override { return false; }
    nlohmann::json describe() const override {
        int driver = 0, runtime = 0;
        cudaDriverGetVersion(&driver);
        cudaRuntimeGetVersion(&runtime);
        return {{"device", "cuda"},
                {"gpu", properties_.name},
                {"sms", properties_.multiProcessorCount},
                {"l2_cache", properties_.l2CacheSize},
                {"memory", properties_.totalGlobalMem},
                {"driver", driver},
                {"runtime", runtime},
                {"flush_bytes", k_flush_size}};
    }

  private:
    static constexpr int64_t k_flush_size = int64_t{384} << 20;
    static constexpr int64_t k_read_size = int64_t{2} << 30;

    void read_beyond_flush(int64_t bytes) {
        const void* const data = read_range(bytes).data;
        for (bytes = (bytes + 15) / 16 * 16; bytes > 0; bytes -= k_read_size)
            launch_read(data, std::min(bytes, k_read_size), stream_);
    }

    cudaDeviceProp properties_{};
    cudaStream_t stream_ = nullptr;
    void* buffer_ = nullptr;  // what flushes, then what is read cold
    Ceilings ceilings_;
};

}  // namespace

std::unique_ptr<Device> make_cuda_device(int64_t ordinal) {
    return std::make_unique<CudaDevice>(ordinal);
}

}  // namespace relayattn::bench
