#pragma once

#include <cstdint>
#include <deque>
#include <iosfwd>
#include <memory>
#include <string>
#include <vector>

#include "attention.h"
#include "model.h"
#include "requests.h"

namespace serve {

// How the requests hold the system prompt's keys and values.
enum class Sharing { shared, own_copy };

struct Mode {
    std::string name;
    int32_t plan = 0;  // RA_MODE_*
    Sharing sharing = Sharing::shared;
};

struct Prompts {
    std::vector<int32_t> system, child;  // child may be empty
};

struct ServerSettings {
    int64_t threads = 1, page_size = 0, max_concurrent = 32;
    int32_t kv_dtype = RA_F32;
};

// What one step took.
struct StepSample {
    int64_t rows = 0, tokens = 0, kv_bytes = 0, memory = 0;
    double attend_seconds = 0;
};

struct ServeResult {
    std::vector<std::vector<std::vector<int32_t>>> answers;  // [request][turn] = tokens
    std::vector<StepSample> steps;
    double prefill_seconds = 0, seconds = 0;  // seconds: the steps, without admission's copies
    int64_t generated = 0;
};

// Serves the requests of a file with continuous batching: every step takes one chunk or one token
// from each request that is under way; requests join when they arrive and a place is free, and
// leave when answered.
class Server {
  public:
    Server(Model& model, const Vocabulary& vocabulary, const Prompts& prompts,
           const std::vector<Request>& requests, const ServerSettings& settings, const Mode& mode);
    ~Server();
    // Progress goes to `log` (null = silent).
    ServeResult run(std::ostream* log);

  private:
    struct Stream;
    void prefill_prompts();
    void admit(int64_t step);
    bool run_step();
    void take_token(Stream& stream, const float* logits);
    void give_back_last();
    void retire(int64_t step, std::ostream* log);
    void print_answers(const Stream& stream, int64_t step, std::ostream& log) const;

    Model& model_;
    const Vocabulary& vocabulary_;
    const Prompts& prompts_;
    const std::vector<Request>& requests_;
    ServerSettings settings_;
    Mode mode_;
    Attention attention_;
    std::shared_ptr<const Prefix> system_, child_;
    int64_t template_bytes_ = 0;  // own_copy: the prompts that are only copied from
    size_t next_request_ = 0;
    std::vector<std::unique_ptr<Stream>> streams_;
    ServeResult result_;
};

}  // namespace serve
