#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <new>
#include <nlohmann/json.hpp>

#include "cache_flush.h"
#include "cpu_machine.h"
#include "crew.h"
#include "device.h"
#include "rates/rates.h"

namespace relayattn::bench {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
}

// The share of a sample that its threads may have waited for a core.
constexpr double k_most_waiting = 0.03;

class CpuTimed final : public Timed {
  public:
    explicit CpuTimed(Device::Enqueue work) : work_(std::move(work)) {}
    Sample run() override {
        const double waited = time_in_run_queue();
        const auto start = Clock::now();
        work_(nullptr);
        const double seconds = seconds_since(start);
        return {seconds, time_in_run_queue() - waited <= k_most_waiting * seconds};
    }

  private:
    Device::Enqueue work_;
};

constexpr int64_t k_huge_page = int64_t{1} << 21;

int64_t to_huge_pages(int64_t bytes) {
    return (bytes + k_huge_page - 1) / k_huge_page * k_huge_page;
}

// Memory in huge pages where they can be had, written once.
class ReadBuffer {
  public:
    explicit ReadBuffer(int64_t bytes) : size_(to_huge_pages(bytes)) {
        data_ = std::aligned_alloc(static_cast<size_t>(k_huge_page), static_cast<size_t>(size_));
        if (data_ == nullptr)
            throw std::bad_alloc();
        madvise(data_, static_cast<size_t>(size_), MADV_HUGEPAGE);
        std::memset(data_, 1, static_cast<size_t>(size_));
    }
    ~ReadBuffer() { std::free(data_); }
    ReadBuffer(const ReadBuffer&) = delete;
    ReadBuffer& operator=(const ReadBuffer&) = delete;

    const char* data() const { return static_cast<const char*>(data_); }
    int64_t size() const { return size_; }

  private:
    int64_t size_;
    void* data_;
};

class CpuDevice final : public Device {
  public:
    explicit CpuDevice(int64_t num_threads)
        : crew_(num_threads),
          flush_size_(to_huge_pages(std::max(2 * last_level_cache(), int64_t{1} << 26))),
          read_size_(to_huge_pages(std::max(2 * last_level_cache(), int64_t{1} << 29))),
          buffer_(flush_size_ + read_size_) {
        for (const InstructionRate* rate : known_rates()) {
            if (!rate->is_usable())
                continue;
            usable_.push_back(rate);
            if (rate->read != nullptr)
                read_ = rate->read;
            ceilings_.matrix.push_back({rate->name, rate->isa, rate->dtype, 0});
        }
    }

    void* allocate(int64_t bytes) override {
        const int64_t size = to_huge_pages(std::max(bytes, int64_t{1}));
        void* data = std::aligned_alloc(4096, static_cast<size_t>(size));
        if (data == nullptr)
            throw std::bad_alloc();
        return data;
    }
    void release(void* data) noexcept override { std::free(data); }
    void upload(void* to, const void* host, int64_t bytes) override {
        std::memcpy(to, host, static_cast<size_t>(bytes));
    }
    void download(void* host, const void* from, int64_t bytes) override {
        std::memcpy(host, from, static_cast<size_t>(bytes));
    }
    void* queue() override { return nullptr; }
    void synchronise() override {}

    std::unique_ptr<Timed> prepare(Enqueue work, bool) override {
        return std::make_unique<CpuTimed>(std::move(work));
    }
    std::unique_ptr<Timed> prepare_read(int64_t bytes, bool graph) override {
        return prepare([this, bytes](void*) { read_buffer(bytes); }, graph);
    }
    Range read_range(int64_t bytes) override {
        return {buffer_.data() + flush_size_, std::min(bytes, read_size_)};
    }
    // The ranges surely, and by reading whatever else is in the way: code, page tables.
    void flush_caches(const std::vector<Range>& ranges) override {
        for (const Range& range : ranges)
            relayattn_bench_flush(range.data, range.bytes);
        read_once(buffer_.data(), flush_size_);
    }

    const Ceilings& measure_ceilings() override;
    bool judged_by_minimum() const override { return true; }
    nlohmann::json describe() const override {
        return {{"device", "cpu"},
                {"cpu", cpu_name()},
                {"threads", crew_.size()},
                {"last_level_cache", last_level_cache()},
                {"flush_bytes", flush_size_}};
    }

  private:
    static std::vector<const InstructionRate*> known_rates() {
#if defined(__x86_64__)
        return {&k_baseline_rate, &k_avx2_rate, &k_avx512_rate, &k_avx512_bf16_rate, &k_amx_rate};
#else
        return {&k_baseline_rate};
#endif
    }

    // The threads draw chunks, so that one that starts late costs little.
    void read_once(const char* data, int64_t bytes) {
        constexpr int64_t least = int64_t{1} << 14, most = int64_t{1} << 20;
        const int64_t share = bytes / (8 * crew_.size());
        const int64_t chunk = std::clamp(share, least, most) / least * least;
        std::atomic<int64_t> next{0};
        std::atomic<uint64_t> found{0};
        crew_.run([&](int64_t) {
            uint64_t mine = 0;
            for (int64_t at; (at = next.fetch_add(chunk)) < bytes;)
                mine ^= read_(data + at, std::min(chunk, bytes - at));
            found ^= mine;
        });
        asm volatile("" : : "r"(found.load()));
    }
    void read_buffer(int64_t bytes) {
        bytes = (bytes + 4095) / 4096 * 4096;
        for (; bytes > 0; bytes -= read_size_)
            read_once(buffer_.data() + flush_size_, std::min(bytes, read_size_));
    }
    double multiply_once(const InstructionRate& rate);

    Crew crew_;
    int64_t flush_size_, read_size_;
    ReadBuffer buffer_;  // what flushes, then what is read cold
    std::vector<const InstructionRate*> usable_;
    uint64_t (*read_)(const void*, int64_t) = nullptr;
    Ceilings ceilings_;
};

// Flops per second of all threads together while all of them run. Each thread's rate is taken by
// its own CPU time: another program that takes a core does not make that core's units slower.
double CpuDevice::multiply_once(const InstructionRate& rate) {
    constexpr int64_t rounds = 1 << 18;
    std::atomic<int64_t> arrived{0};
    std::atomic<double> sum{0};
    crew_.run([&](int64_t) {
        arrived.fetch_add(1);
        while (arrived.load() < crew_.size()) {
        }
        const double start = thread_cpu_time();
        const double flops = rate.multiply(rounds);
        sum += flops / (thread_cpu_time() - start);
    });
    return sum;
}

const Ceilings& CpuDevice::measure_ceilings() {
    // Many short tries: other programs disturb some of them, and none makes a core faster.
    for (int tries = 0; tries < 5; ++tries) {
        flush_caches({read_range(read_size_)});
        const auto start = Clock::now();
        read_buffer(read_size_);
        const double rate = static_cast<double>(read_size_) / seconds_since(start);
        ceilings_.read = std::max(ceilings_.read, rate);
    }
    for (size_t i = 0; i < usable_.size(); ++i) {
        for (int tries = 0; tries < 10; ++tries)
            ceilings_.matrix[i].flops =
                std::max(ceilings_.matrix[i].flops, multiply_once(*usable_[i]));
    }
    return ceilings_;
}

}  // namespace

std::unique_ptr<Device> make_cpu_device(int64_t num_threads) {
    return std::make_unique<CpuDevice>(num_threads);
}

}  // namespace relayattn::bench
