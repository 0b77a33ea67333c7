// One captured graph, many steps; and what an attend must never do.

#include <cuda_runtime_api.h>
#include <doctest/doctest.h>

#include <atomic>
#include <cstdlib>
#include <new>

#include "checks.h"
#include "gpu.h"

namespace {

std::atomic<int64_t> num_allocations{0};

}  // namespace

// The plugin's allocations come here too: it takes operator new from the program.
void* operator new(std::size_t size) {
    num_allocations.fetch_add(1, std::memory_order_relaxed);
    void* data = std::malloc(size > 0 ? size : 1);
    if (data == nullptr)
        throw std::bad_alloc();
    return data;
}

void operator delete(void* data) noexcept {
    std::free(data);
}

void operator delete(void* data, std::size_t) noexcept {
    std::free(data);
}

namespace relayattn::test {
namespace {

class Stream {
  public:
    Stream() { REQUIRE(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking) == cudaSuccess); }
    ~Stream() { cudaStreamDestroy(stream_); }
    Stream(const Stream&) = delete;
    Stream& operator=(const Stream&) = delete;
    cudaStream_t get() const { return stream_; }

  private:
    cudaStream_t stream_ = nullptr;
};

// Captured in the mode in which every call that allocates or synchronises fails.
class Graph {
  public:
    template <class Work>
    Graph(cudaStream_t stream, const Work& work) : stream_(stream) {
        REQUIRE(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal) == cudaSuccess);
        work();
        cudaGraph_t graph = nullptr;
        REQUIRE(cudaStreamEndCapture(stream, &graph) == cudaSuccess);
        REQUIRE(cudaGraphInstantiate(&graph_, graph, 0) == cudaSuccess);
        cudaGraphDestroy(graph);
    }
    ~Graph() { cudaGraphExecDestroy(graph_); }
    Graph(const Graph&) = delete;
    Graph& operator=(const Graph&) = delete;
    void replay() {
        REQUIRE(cudaGraphLaunch(graph_, stream_) == cudaSuccess);
        REQUIRE(cudaStreamSynchronize(stream_) == cudaSuccess);
    }

  private:
    cudaStream_t stream_;
    cudaGraphExec_t graph_ = nullptr;
};

ProblemOptions step_options(Backend& backend, Dtype dtype, Random& random) {
    ProblemOptions options;
    options.layer = layer_of(8, 2, 128, 128, dtype, dtype, dtype);
    options.set_limits(backend);
    options.page_size = 16;
    options.num_sequences = random.integer(1, 20);
    options.num_nodes = random.integer(0, 4);
    options.max_prefix = random.pick({40, 500, 2000});
    options.max_item_tokens = random.pick({60, 700});
    options.max_q_len = random.pick({1, 4});
    options.padded_tokens = random.integer(0, 5);
    return options;
}

}  // namespace

// Captured at the first step and replayed for all.
void check_replays(Backend& backend, const std::vector<Problem>& problems) {
    const Stream stream;
    Rig rig(backend, gpu_memory(), problems, true, false, stream.get());
    rig.load(problems[0]);
    Graph graph(stream.get(), [&] { must(rig.attend()); });
    for (const Problem& problem : problems) {
        rig.load(problem);
        graph.replay();
        check_output(problem, rig.output());
    }
}

TEST_CASE("a captured graph is right for later steps with other sequences, lengths and prefixes") {
    for (const Dtype dtype : {Dtype::bf16, Dtype::f16, Dtype::f32}) {
        const auto backend = make_gpu();
        Random random(11);
        std::vector<Problem> problems;
        for (int i = 0; i < 8; ++i)
            problems.push_back(make_problem(step_options(*backend, dtype, random), random));
        check_replays(*backend, problems);
    }
}

TEST_CASE("a graph that was captured without a tree mask is right for steps with one") {
    const auto backend = make_gpu();
    Random random(15);
    std::vector<Problem> problems;
    for (int i = 0; i < 6; ++i) {
        ProblemOptions options = step_options(*backend, Dtype::bf16, random);
        options.max_q_len = 6;
        options.tree = i % 2 == 1;
        problems.push_back(make_problem(options, random));
    }
    check_replays(*backend, problems);
}

TEST_CASE("two replays of one graph are bitwise equal") {
    const auto backend = make_gpu();
    Random random(12);
    ProblemOptions options = step_options(*backend, Dtype::bf16, random);
    options.num_sequences = 40;
    options.max_prefix = 4000;
    options.max_item_tokens = 300;
    const std::vector<Problem> problems = {make_problem(options, random)};
    const Stream stream;
    Rig rig(*backend, gpu_memory(), problems, true, false, stream.get());
    rig.load(problems[0]);
    Graph graph(stream.get(), [&] { must(rig.attend()); });
    graph.replay();
    const std::vector<char> first = rig.output_bytes();
    for (int i = 0; i < 5; ++i) {
        graph.replay();
        CHECK(rig.output_bytes() == first);
    }
}

TEST_CASE("an attend allocates neither on the device nor on the host") {
    const auto backend = make_gpu();
    Random random(13);
    const std::vector<Problem> problems = {
        make_problem(step_options(*backend, Dtype::bf16, random), random)};
    const Stream stream;
    Rig rig(*backend, gpu_memory(), problems, true, false, stream.get());
    rig.load(problems[0]);
    must(rig.attend());
    const AttendCall call = rig.call();
    size_t free_before = 0, free_after = 0, total = 0;
    REQUIRE(cudaMemGetInfo(&free_before, &total) == cudaSuccess);
    const int64_t before = num_allocations.load();
    for (int i = 0; i < 100; ++i)
        must(rig.plan().attend(call, stream.get()));
    CHECK(num_allocations.load() == before);
    REQUIRE(cudaStreamSynchronize(stream.get()) == cudaSuccess);
    REQUIRE(cudaMemGetInfo(&free_after, &total) == cudaSuccess);
    CHECK(free_after == free_before);
}

TEST_CASE("an attend launches three kernels at most") {
    const auto backend = make_gpu();
    Random random(14);
    const std::vector<Problem> problems = {
        make_problem(step_options(*backend, Dtype::bf16, random), random)};
    const Stream stream;
    Rig rig(*backend, gpu_memory(), problems, true, false, stream.get());
    rig.load(problems[0]);
    REQUIRE(cudaStreamBeginCapture(stream.get(), cudaStreamCaptureModeGlobal) == cudaSuccess);
    must(rig.attend());
    cudaGraph_t graph = nullptr;
    REQUIRE(cudaStreamEndCapture(stream.get(), &graph) == cudaSuccess);
    size_t num_nodes = 0;
    REQUIRE(cudaGraphGetNodes(graph, nullptr, &num_nodes) == cudaSuccess);
    cudaGraphDestroy(graph);
    MESSAGE("launches of an attend: " << num_nodes);
    CHECK(num_nodes <= 3);
    CHECK(rig.plan().num_launches() >= static_cast<int64_t>(num_nodes));
}

}  // namespace relayattn::test
