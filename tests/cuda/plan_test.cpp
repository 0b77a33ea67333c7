// Plans: their memory, their limits, many at once; order between queues.

#include <cuda_runtime_api.h>
#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "checks.h"
#include "gpu.h"

namespace relayattn::test {
namespace {

ProblemOptions plain_options(Backend& backend, int64_t num_sequences) {
    ProblemOptions options;
    options.layer = layer_of(8, 2, 128, 128, Dtype::bf16, Dtype::bf16, Dtype::bf16);
    options.num_sequences = num_sequences;
    options.max_q_len = 1;
    options.set_limits(backend);
    return options;
}

}  // namespace

TEST_CASE("a plan works in memory that the caller gives") {
    const auto backend = make_gpu();
    Random random(41);
    const std::vector<Problem> problems = {make_problem(plain_options(*backend, 8), random)};
    const PlanShape shape = shape_for(problems, false);
    const PlanMemory memory = backend->plan_memory(shape);
    CHECK(memory.scratch > 0);
    CHECK(memory.metadata > 0);
    Buffer scratch(gpu_memory(), memory.scratch), metadata(gpu_memory(), memory.metadata);
    auto plan = value_of(backend->create_plan(shape, {scratch.data(), metadata.data()}, 1));
    Rig rig(*backend, gpu_memory(), problems, false);
    rig.load(problems[0]);
    WorkList work = problems[0].work;
    must(plan->set(work, nullptr));
    must(plan->attend(rig.call(), nullptr));
    check_output(problems[0], rig.output());
}

TEST_CASE("a plan refuses misaligned memory and a step that does not fit, and goes on") {
    const auto backend = make_gpu();
    Random random(42);
    const std::vector<Problem> small = {make_problem(plain_options(*backend, 3), random)};
    const Problem large = make_problem(plain_options(*backend, 30), random);
    const PlanShape shape = shape_for(small, false);
    Buffer scratch(gpu_memory(), backend->plan_memory(shape).scratch + 16);
    const auto refused = backend->create_plan(shape, {scratch.data() + 4, nullptr}, 1);
    REQUIRE(!refused);
    CHECK(refused.error().code == Code::argument);

    Rig rig(*backend, gpu_memory(), small, false);
    rig.load(small[0]);
    const Result<void> too_large = rig.plan().set(large.work, nullptr);
    REQUIRE(!too_large);
    CHECK(too_large.error().code == Code::argument);
    must(rig.attend());
    check_output(small[0], rig.output());
}

TEST_CASE("what has no GPU kernel is refused") {
    const auto backend = make_gpu();
    Random random(43);
    const std::vector<Problem> problems = {make_problem(plain_options(*backend, 3), random)};
    Rig rig(*backend, gpu_memory(), problems, false);
    rig.load(problems[0]);
    const Result<void> refused = rig.plan().attend_worker(rig.call(), 0, 0, 1);
    REQUIRE(!refused);
    CHECK(refused.error().code == Code::unsupported);
    CHECK(!create_cuda_backend(1000));
    CHECK(!create_cuda_backend(-1));
}

TEST_CASE("the GPU's answer is the CPU's") {
    const auto gpu = make_gpu();
    const auto cpu = value_of(create_cpu_backend({2}));
    Random random(44);
    for (int trial = 0; trial < 40; ++trial) {
        ProblemOptions options = plain_options(*gpu, random.integer(1, 12));
        const Dtype dtype = random.pick({Dtype::f32, Dtype::f16, Dtype::bf16});
        options.layer = layer_of(8, 2, 128, 128, dtype, dtype, dtype);
        options.set_limits(*gpu);
        options.layer.uses_sinks = random.chance(30);
        options.max_q_len = random.integer(1, 5);
        options.max_prefix = 400;
        options.max_item_tokens = 300;
        const std::vector<Problem> problems = {make_problem(options, random)};
        Rig on_gpu(*gpu, gpu_memory(), problems, false);
        Rig on_cpu(*cpu, host_memory(), problems, false);
        Output outputs[2];
        for (Rig* rig : {&on_gpu, &on_cpu}) {
            rig->load(problems[0]);
            must(rig->attend());
            outputs[rig == &on_gpu ? 0 : 1] = rig->output();
        }
        const Expected cpus{{outputs[1].out.begin(), outputs[1].out.end()},
                            {outputs[1].lse.begin(), outputs[1].lse.end()}};
        // Both are rounded to the output dtype: twice the distance of one from the truth.
        const Difference difference = compare_outputs(
            outputs[0].out, cpus.out, static_cast<int32_t>(dtype), precision_of(options));
        CHECK(difference.relative_l2 <= (dtype == Dtype::f32 ? 2e-6 : 6e-3));
        CHECK(compare_lse(outputs[0].lse, cpus.lse).text == "");
    }
}

TEST_CASE("many threads attend at once, in two contexts on one GPU") {
    const std::unique_ptr<Backend> backends[2] = {make_gpu(), make_gpu()};
    constexpr int num_threads = 8;
    std::vector<std::string> failures(num_threads);
    std::vector<std::thread> threads;
    for (int t = 0; t < num_threads; ++t)
        threads.emplace_back([&, t] {
            try {
                Backend& backend = *backends[t % 2];
                Random random(50 + static_cast<uint64_t>(t));
                cudaStream_t stream = nullptr;
                cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);
                {
                    const std::vector<Problem> problems = {
                        make_problem(plain_options(backend, 9), random)};
                    Rig rig(backend, gpu_memory(), problems, t % 3 == 0, false, stream);
                    const Expected want = expected_of(problems[0]);
                    for (int i = 0; i < 10; ++i) {
                        rig.load(problems[0]);
                        must(rig.attend());
                        const Output got = rig.output();
                        const Difference difference =
                            compare_outputs(got.out, want.out, static_cast<int32_t>(Dtype::bf16),
                                            precision_of(problems[0].options));
                        if (!difference.text.empty())
                            failures[static_cast<size_t>(t)] = difference.text;
                    }
                }
                cudaStreamDestroy(stream);
            } catch (const std::exception& error) {
                failures[static_cast<size_t>(t)] = error.what();
            }
        });
    for (std::thread& thread : threads)
        thread.join();
    for (const std::string& failure : failures)
        CHECK(failure == "");
}

TEST_CASE("a later queue waits for all work marked before") {
    const auto backend = make_gpu();
    const auto order = value_of(backend->create_order());
    constexpr size_t bytes = size_t{1} << 28;
    Buffer a_buffer(gpu_memory(), bytes), b_buffer(gpu_memory(), bytes);
    char *a = a_buffer.data(), *b = b_buffer.data();
    cudaStream_t streams[3];
    for (cudaStream_t& stream : streams)
        REQUIRE(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking) == cudaSuccess);
    for (int trial = 1; trial < 20; ++trial) {
        // Two queues write, long enough for a third to overtake them if nothing held it back.
        for (int i = 0; i < 2; ++i) {
            char* half = a + static_cast<size_t>(i) * bytes / 2;
            for (int again = 0; again < 5; ++again)
                cudaMemsetAsync(half, trial, bytes / 2, streams[i]);
            must(order->after(streams[i]));
        }
        must(order->before(streams[2]));
        cudaMemcpyAsync(b, a, bytes, cudaMemcpyDeviceToDevice, streams[2]);
        must(order->after(streams[2]));
        must(order->before(streams[0]));
        must(order->before(streams[1]));
        char ends[2] = {};
        REQUIRE(cudaStreamSynchronize(streams[2]) == cudaSuccess);
        cudaMemcpy(&ends[0], b + bytes / 2 - 1, 1, cudaMemcpyDeviceToHost);
        cudaMemcpy(&ends[1], b + bytes - 1, 1, cudaMemcpyDeviceToHost);
        CHECK(ends[0] == trial);
        CHECK(ends[1] == trial);
    }
    for (const cudaStream_t stream : streams)
        cudaStreamDestroy(stream);
}

TEST_CASE("steps are set on changing queues, also while another queue is being captured") {
    const auto backend = make_gpu();
    const auto order = value_of(backend->create_order());
    Random random(46);
    const std::vector<Problem> problems = {make_problem(plain_options(*backend, 9), random)};
    Rig rig(*backend, gpu_memory(), problems, false);
    rig.load(problems[0]);
    cudaStream_t streams[3];
    for (cudaStream_t& stream : streams)
        REQUIRE(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking) == cudaSuccess);
    const auto set_often = [&] {
        for (int i = 0; i < 20; ++i) {
            must(order->before(streams[i % 2]));
            must(rig.plan().set(problems[0].work, streams[i % 2]));
            must(order->after(streams[i % 2]));
        }
    };
    REQUIRE(cudaStreamBeginCapture(streams[2], cudaStreamCaptureModeGlobal) == cudaSuccess);
    set_often();
    std::string failure;
    std::thread other([&] {
        try {
            set_often();
        } catch (const std::exception& error) {
            failure = error.what();
        }
    });
    other.join();
    CHECK(failure == "");
    cudaGraph_t graph = nullptr;
    CHECK(cudaStreamEndCapture(streams[2], &graph) == cudaSuccess);
    cudaGraphDestroy(graph);
    must(order->before(nullptr));
    must(rig.attend());
    check_output(problems[0], rig.output());
    for (const cudaStream_t stream : streams)
        cudaStreamDestroy(stream);
}

TEST_CASE("setting a step of 256 sequences costs the host little") {
    const auto backend = make_gpu();
    Random random(45);
    ProblemOptions options = plain_options(*backend, 256);
    options.page_size = 64;
    options.max_prefix = 2000;
    options.max_item_tokens = 1000;
    const std::vector<Problem> problems = {make_problem(options, random)};
    for (const bool graph : {false, true}) {
        Rig rig(*backend, gpu_memory(), problems, graph);
        rig.load(problems[0]);
        std::vector<double> micros;
        for (int i = 0; i < 200; ++i) {
            const auto start = std::chrono::steady_clock::now();
            must(rig.plan().set(problems[0].work, nullptr));
            const std::chrono::duration<double, std::micro> took =
                std::chrono::steady_clock::now() - start;
            micros.push_back(took.count());
            gpu_memory().wait();
        }
        std::sort(micros.begin(), micros.end());
        MESSAGE((graph ? "graph" : "plain") << ": median " << micros[100] << " us");
        CHECK(micros[100] < 20);
    }
}

TEST_CASE("the caller's current device and context stay") {
    int device = -1;
    REQUIRE(cudaGetDevice(&device) == cudaSuccess);
    const auto backend = make_gpu();
    const auto memory = value_of(backend->allocate(1024));
    int after = -1;
    REQUIRE(cudaGetDevice(&after) == cudaSuccess);
    CHECK(after == device);
    CHECK(memory->data() != nullptr);
}

}  // namespace relayattn::test
