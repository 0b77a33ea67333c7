// Measured figures: read from text, refused with the line and the reason, taken by the nearest
// layer.
#include "impl/core/plan/figures_file.h"

#include <doctest/doctest.h>

namespace relayattn::test {
namespace {

const std::string k_header = "relayattn-figures 1\n";
const std::string k_gpu =
    "device=cuda target=sm_90 dtype=bf16 head_dim=128 threads=0 read=4000 few=9e4 many=6e5 "
    "item=2 partial=0.5 launch=4000\n";
const std::string k_cpu =
    "device=cpu target=avx2 dtype=f32 head_dim=64 threads=4 read=80 few=400 many=500 item=75 "
    "partial=10 launch=0\n";

Layer layer(Dtype dtype, int64_t head_dim) {
    Layer layer;
    layer.kv.dtype = dtype;
    layer.kv.head_dim_k = layer.kv.head_dim_v = head_dim;
    return layer;
}

BackendInfo gpu(int64_t sm) {
    BackendInfo info;
    info.backend = 2;
    info.sm = sm;
    return info;
}

BackendInfo cpu(int64_t isa, int64_t num_threads) {
    BackendInfo info;
    info.backend = 1;
    info.isa = isa;
    info.num_threads = num_threads;
    return info;
}

DeviceFigures applied(const std::string& text, const BackendInfo& info, const Layer& layer,
                      int64_t workers) {
    const auto table = FiguresTable::parse(text, "test");
    REQUIRE(table);
    DeviceFigures figures;
    figures.num_workers = workers;
    table->apply(info, layer, figures);
    return figures;
}

void is_refused(const std::string& text, const std::string& reason) {
    const auto table = FiguresTable::parse(text, "FILE");
    REQUIRE(!table);
    CHECK(table.error().code == Code::argument);
    CHECK_MESSAGE(table.error().text.find(reason) != std::string::npos, table.error().text);
}

std::string replaced(std::string text, const std::string& what, const std::string& with) {
    return text.replace(text.find(what), what.size(), with);
}

}  // namespace

TEST_CASE("a layer takes its device's line, in its backend's own workers") {
    const auto figures =
        applied(k_header + "# measured\n\n" + k_cpu + k_gpu, gpu(90), layer(Dtype::bf16, 128), 264);
    CHECK(figures.read_bytes_per_ns == 4000);
    CHECK(figures.few_flops_per_ns == 9e4);
    CHECK(figures.many_flops_per_ns == 6e5);
    CHECK(figures.item_ns == 2 * 264);
    CHECK(figures.partial_ns == 0.5 * 264);
    CHECK(figures.launch_ns == 4000);
    CHECK(figures.tile_rows == DeviceFigures{}.tile_rows);
}

TEST_CASE("threads scale what was measured with others") {
    const auto figures = applied(k_header + k_cpu, cpu(1, 2), layer(Dtype::f32, 64), 2);
    CHECK(figures.read_bytes_per_ns == 40);
    CHECK(figures.item_ns == 75 * 2 * 2);
}

TEST_CASE("the nearest head_dim serves, and its partials by their size") {
    const std::string wide =
        replaced(replaced(k_gpu, "head_dim=128", "head_dim=256"), "read=4000", "read=3000");
    const std::string text = k_header + k_gpu + wide;
    CHECK(applied(text, gpu(90), layer(Dtype::bf16, 96), 1).read_bytes_per_ns == 4000);
    CHECK(applied(text, gpu(90), layer(Dtype::bf16, 96), 1).partial_ns == 0.5 * 96 / 128);
    CHECK(applied(text, gpu(90), layer(Dtype::bf16, 256), 1).read_bytes_per_ns == 3000);
}

TEST_CASE("another device, target or dtype leaves the backend's own figures") {
    const DeviceFigures own;
    for (const BackendInfo& info : {gpu(80), cpu(2, 4)})
        CHECK(
            applied(k_header + k_gpu + k_cpu, info, layer(Dtype::bf16, 128), 1).read_bytes_per_ns ==
            own.read_bytes_per_ns);
    CHECK(applied(k_header + k_gpu, gpu(90), layer(Dtype::f16, 128), 1).read_bytes_per_ns ==
          own.read_bytes_per_ns);
}

TEST_CASE("what is malformed is refused by line and reason") {
    is_refused("", "FILE line 1");
    is_refused("relayattn-figures 2\n" + k_gpu, "FILE line 1: it must be \"relayattn-figures 1\"");
    is_refused(k_header + "\n" + replaced(k_gpu, " read=4000", ""), "FILE line 3: read is missing");
    is_refused(k_header + replaced(k_gpu, "read=4000", "read=fast"), "read is \"fast\"");
    is_refused(k_header + replaced(k_gpu, "read=4000", "read=0"), "read is \"0\"");
    is_refused(k_header + replaced(k_gpu, "read=4000", "read=inf"), "read is \"inf\"");
    is_refused(k_header + replaced(k_gpu, "read=4000", "read=1 read=2"), "read stands there twice");
    is_refused(k_header + replaced(k_gpu, "read=4000", "read=1 wings=2"), "unknown key wings");
    is_refused(k_header + replaced(k_gpu, "bf16", "f8"), "dtype is \"f8\"");
    is_refused(k_header + replaced(k_gpu, "device=cuda", "device=tpu"), "device is \"tpu\"");
    is_refused(k_header + replaced(k_gpu, "head_dim=128", "head_dim=-1"), "head_dim is \"-1\"");
    is_refused(k_header + "nonsense\n", "\"nonsense\" is not of the form key=value");
}

}  // namespace relayattn::test
