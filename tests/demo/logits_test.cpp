// Logits of tiny random models against those of Hugging Face transformers (make_fixtures.py).

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "folder.h"
#include "model.h"
#include "safetensors.h"

using namespace serve;

namespace {

constexpr double k_tolerance = 1e-4;

struct Fixture {
    explicit Fixture(const std::string& name)
        : folder(std::string(FIXTURES) + "/" + name), model(folder) {
        std::ifstream(folder + "/tokens.json") >> tokens_json;
        tokens = tokens_json.get<std::vector<int32_t>>();
        const Folder copy;  // a model folder that holds the expected logits only
        std::filesystem::copy(folder + "/expected.safetensors", copy.file("model.safetensors"));
        expected =
            WeightFiles(copy.path())
                .read("logits", {static_cast<int64_t>(tokens.size()), model.config().vocab_size});
    }
    Attention attention(int32_t mode, int64_t page_size, bool keep_all = false) const {
        AttentionSettings settings;
        settings.mode = mode;
        settings.page_size = page_size;
        settings.capacity_tokens = 2048;
        settings.max_sequences = 4;
        settings.max_step_tokens = 128;
        settings.keep_all = keep_all;
        return Attention(model.config(), settings);
    }
    std::vector<int32_t> slice(size_t from, size_t to) const {
        return {tokens.begin() + static_cast<std::ptrdiff_t>(from),
                tokens.begin() + static_cast<std::ptrdiff_t>(to)};
    }
    // Feeds tokens [from, to) and returns the largest difference of their logits.
    double feed(Attention& a, Sequence& sequence, size_t from, size_t to) {
        std::vector<float> logits;
        REQUIRE(model.step(a, {{&sequence, slice(from, to), true}}, logits));
        return difference(logits, from);
    }
    double difference(const std::vector<float>& logits, size_t from) const {
        double worst = 0;
        const size_t start = from * static_cast<size_t>(model.config().vocab_size);
        for (size_t i = 0; i < logits.size(); ++i) {
            const double gap = std::fabs(static_cast<double>(logits[i]) - expected[start + i]);
            worst = std::max(worst, std::isnan(gap) ? HUGE_VAL : gap);
        }
        return worst;
    }

    std::string folder;
    Model model;
    nlohmann::json tokens_json;
    std::vector<int32_t> tokens;
    std::vector<float> expected;
};

const std::vector<std::string> k_fixtures = {"llama",         "llama_linear", "llama_yarn",
                                             "llama_dynamic", "mistral",      "qwen2"};

}  // namespace

TEST_CASE("logits of a whole prompt match transformers") {
    for (const std::string& name : k_fixtures) {
        Fixture f(name);
        Attention a = f.attention(RA_MODE_AUTO, 16);
        Sequence sequence = a.start(nullptr);
        const double worst = f.feed(a, sequence, 0, f.tokens.size());
        MESSAGE(name << ": largest difference " << worst);
        CHECK(worst < k_tolerance);
    }
}

TEST_CASE("logits of a prompt fed token by token match transformers") {
    for (const std::string& name : k_fixtures) {
        CAPTURE(name);
        Fixture f(name);
        Attention a = f.attention(RA_MODE_FLAT, 4);
        Sequence sequence = a.start(nullptr);
        for (size_t i = 0; i < f.tokens.size(); ++i)
            CHECK(f.feed(a, sequence, i, i + 1) < k_tolerance);
    }
}

TEST_CASE("logits under a prefix, its child and a copy of both match transformers, in a batch") {
    for (const std::string& name : k_fixtures)
        for (int32_t mode : {RA_MODE_RELAY, RA_MODE_FLAT}) {
            CAPTURE(name);
            CAPTURE(mode);
            Fixture f(name);
            Attention a = f.attention(mode, 8, true);
            Sequence first = a.start(nullptr);
            CHECK(f.feed(a, first, 0, 21) < k_tolerance);
            const auto root = a.freeze(first);
            Sequence second = a.start(root);
            CHECK(f.feed(a, second, 21, 34) < k_tolerance);
            const auto child = a.freeze(second);
            CHECK(child->own_length == 13);
            const auto copy = a.copy(*child);

            Sequence under_root = a.start(root), under_child = a.start(child),
                     alone = a.start(copy);
            std::vector<float> logits;
            REQUIRE(f.model.step(a,
                                 {{&under_root, f.slice(21, 56), true},
                                  {&under_child, f.slice(34, 56), true},
                                  {&alone, f.slice(34, 56), true}},
                                 logits));
            const auto vocab = static_cast<std::ptrdiff_t>(f.model.config().vocab_size);
            const auto at = logits.begin();
            CHECK(f.difference({at, at + 35 * vocab}, 21) < k_tolerance);
            CHECK(f.difference({at + 35 * vocab, at + 57 * vocab}, 34) < k_tolerance);
            CHECK(f.difference({at + 57 * vocab, logits.end()}, 34) < k_tolerance);
        }
}

TEST_CASE("16-bit keys and values stay near") {
    for (int32_t dtype : {RA_F16, RA_BF16}) {
        Fixture f("llama");
        AttentionSettings settings;
        settings.kv_dtype = dtype;
        settings.capacity_tokens = settings.max_step_tokens = 128;
        settings.max_sequences = 1;
        Attention a(f.model.config(), settings);
        Sequence sequence = a.start(nullptr);
        const double worst = f.feed(a, sequence, 0, f.tokens.size());
        CHECK(worst > 0);
        CHECK(worst < (dtype == RA_F16 ? 0.05 : 0.4));
    }
}

TEST_CASE("the model's context is a limit, told before anything changes") {
    Fixture f("llama");
    Attention a = f.attention(RA_MODE_AUTO, 16);
    Sequence sequence = a.start(nullptr);
    std::vector<float> logits;
    const std::vector<int32_t> too_many(129, 5);
    CHECK(contains(message_of([&] { f.model.step(a, {{&sequence, too_many}}, logits); }),
                   "would reach 129 tokens, the model's max_position_embeddings is 128"));
    CHECK(f.feed(a, sequence, 0, 56) < k_tolerance);
}
