// The serving loop, on a tiny random model: every mode answers as each request would alone.

#include <doctest/doctest.h>

#include <algorithm>
#include <sstream>

#include "folder.h"
#include "report.h"
#include "server.h"

using namespace serve;

namespace {

const Mode k_modes[] = {{"relay", RA_MODE_RELAY, Sharing::shared},
                        {"flat", RA_MODE_FLAT, Sharing::shared},
                        {"own copy", RA_MODE_AUTO, Sharing::own_copy}};

struct Scene {
    explicit Scene(const std::string& name)
        : model(std::string(FIXTURES) + "/" + name),
          vocabulary(std::string(FIXTURES) + "/" + name, model.config().vocab_size) {
        for (int32_t i = 0; i < 40; ++i)
            prompts.system.push_back((7 * i + 3) % 64);
        for (int32_t i = 0; i < 11; ++i)
            prompts.child.push_back((5 * i + 1) % 64);
        for (int32_t i = 0; i < 9; ++i)
            requests.push_back(make_request(i));
    }
    // Requests of different lengths that arrive one by one, a third of them under the child.
    static Request make_request(int32_t i) {
        Request request;
        request.number = i + 1;
        request.arrive = i / 2;
        request.under_child = i % 3 == 1;
        request.max_tokens = 2 + i % 4;
        for (int32_t turn = 0; turn <= i % 2; ++turn)
            request.turns.push_back({"", "", {i, 2 * i + turn, 9}});
        return request;
    }
    ServeResult serve(const Mode& mode, int64_t concurrent) {
        ServerSettings settings;
        settings.page_size = 4;
        settings.max_concurrent = concurrent;
        return Server(model, vocabulary, prompts, requests, settings, mode).run(nullptr);
    }
    // The answers of one request, by a sequence of its own that is given every token again.
    std::vector<std::vector<int32_t>> answer_alone(const Request& request) {
        AttentionSettings settings;
        settings.capacity_tokens = settings.max_step_tokens = 128;
        settings.max_sequences = 1;
        Attention attention(model.config(), settings);
        std::vector<int32_t> text = prompts.system;
        if (request.under_child)
            text.insert(text.end(), prompts.child.begin(), prompts.child.end());
        std::vector<std::vector<int32_t>> answers;
        for (const Turn& turn : request.turns) {
            text.insert(text.end(), turn.tokens.begin(), turn.tokens.end());
            answers.emplace_back();
            while (static_cast<int64_t>(answers.back().size()) < request.max_tokens) {
                Sequence sequence = attention.start(nullptr);
                std::vector<float> logits;
                REQUIRE(model.step(attention, {{&sequence, text}}, logits));
                const auto best = std::max_element(logits.begin(), logits.end()) - logits.begin();
                answers.back().push_back(static_cast<int32_t>(best));
                text.push_back(static_cast<int32_t>(best));
                if (best == 2)  // the fixtures' end token
                    break;
            }
        }
        return answers;
    }

    Model model;
    Vocabulary vocabulary;
    Prompts prompts;
    std::vector<Request> requests;
};

}  // namespace

TEST_CASE("in every mode, each request is answered as it would be alone") {
    for (const char* name : {"llama", "mistral", "qwen2"}) {
        Scene scene(name);
        for (const Mode& mode : k_modes) {
            CAPTURE(name);
            CAPTURE(mode.name);
            const ServeResult result = scene.serve(mode, 4);
            for (size_t i = 0; i < scene.requests.size(); ++i)
                CHECK(result.answers[i] == scene.answer_alone(scene.requests[i]));
        }
    }
}

TEST_CASE("requests join and leave at different steps, and never exceed the limit") {
    Scene scene("llama");
    const ServeResult result = scene.serve(k_modes[0], 3);
    int64_t most = 0;
    for (const StepSample& step : result.steps) {
        CHECK(step.rows <= 3);
        CHECK(step.kv_bytes > 0);
        most = std::max(most, step.rows);
    }
    CHECK(most == 3);
    CHECK(result.steps.front().rows < 3);
    CHECK(result.steps.back().rows < 3);
}

TEST_CASE("sharing holds the prompt once, own copies hold it for every request") {
    Scene scene("llama");
    std::vector<int64_t> peak;
    for (const Mode& mode : k_modes) {
        int64_t memory = 0;
        for (const StepSample& step : scene.serve(mode, 9).steps)
            memory = std::max(memory, step.memory);
        peak.push_back(memory);
    }
    CHECK(peak[0] == peak[1]);
    CHECK(peak[2] > 3 * peak[0]);
}

TEST_CASE("the score counts right answers, and the report says what differs") {
    Scene scene("llama");
    ModeRow a{"relay", scene.serve(k_modes[0], 4), {}};
    ModeRow b{"flat", a.result, {}};
    scene.requests[0].turns[0].right_answer = scene.vocabulary.decode(a.result.answers[0][0]);
    scene.requests[1].turns[0].right_answer = "no such answer";
    a.score = b.score = score(scene.requests, a.result, scene.vocabulary);
    CHECK(a.score.right == 1);
    CHECK(a.score.asked == 2);
    std::ostringstream same, different;
    print_report({a, b}, same);
    CHECK(contains(same.str(), "identical"));
    CHECK(contains(same.str(), "1 of 2 answers right (50.0 %)"));
    b.result.answers[3][0][0] ^= 1;
    print_report({a, b}, different);
    CHECK(contains(different.str(), "DIFFERENT"));
}
