#include "server.h"

#include <algorithm>
#include <chrono>
#include <ostream>
#include <stdexcept>

namespace serve {
namespace {

constexpr int64_t k_prefill_chunk = 512;
constexpr int64_t k_progress_every = 16;  // steps

double now() {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch())
        .count();
}

// The most tokens that a request adds to its prefix: questions, answers.
int64_t longest_tail(const std::vector<Request>& requests) {
    int64_t longest = 0;
    for (const Request& request : requests) {
        int64_t tokens = 0;
        for (const Turn& turn : request.turns)
            tokens += static_cast<int64_t>(turn.tokens.size()) + request.max_tokens;
        longest = std::max(longest, tokens);
    }
    return longest;
}

AttentionSettings attention_settings(const ServerSettings& settings, const Mode& mode,
                                     const Prompts& prompts, const std::vector<Request>& requests) {
    constexpr int64_t page_slack = 256;  // a sequence's and a prefix's last pages are partly used
    const auto prompt = static_cast<int64_t>(prompts.system.size() + prompts.child.size());
    const int64_t copies = mode.sharing == Sharing::own_copy ? settings.max_concurrent : 0;
    const int64_t page = std::max(settings.page_size, page_slack);
    int64_t longest_question = 0;
    for (const Request& request : requests)
        for (const Turn& turn : request.turns)
            longest_question = std::max(longest_question, static_cast<int64_t>(turn.tokens.size()));
    AttentionSettings a;
    a.threads = settings.threads;
    a.kv_dtype = settings.kv_dtype;
    a.page_size = settings.page_size;
    a.capacity_tokens = (1 + copies) * (prompt + 2 * page) +
                        settings.max_concurrent * (longest_tail(requests) + 2 * page);
    a.max_sequences = settings.max_concurrent + 1;
    a.max_step_tokens = std::max(k_prefill_chunk, settings.max_concurrent * (longest_question + 1));
    a.mode = mode.plan;
    a.keep_all = mode.sharing == Sharing::own_copy;
    return a;
}

}  // namespace

struct Server::Stream {
    size_t request = 0;  // index
    Sequence sequence;
    std::vector<int32_t> pending;  // tokens for the next step
    size_t turn = 0;
    std::vector<std::vector<int32_t>> answers;
    bool done = false;
};

Server::Server(Model& model, const Vocabulary& vocabulary, const Prompts& prompts,
               const std::vector<Request>& requests, const ServerSettings& settings,
               const Mode& mode)
    : model_(model),
      vocabulary_(vocabulary),
      prompts_(prompts),
      requests_(requests),
      settings_(settings),
      mode_(mode),
      attention_(model.config(), attention_settings(settings, mode, prompts, requests)) {
    result_.answers.resize(requests.size());
}

Server::~Server() = default;

// The system prompt is computed once, through the same steps as everything else, and frozen; the
// child prompt continues it.
void Server::prefill_prompts() {
    const double before = now();
    Sequence sequence = attention_.start(nullptr);
    model_.prefill(attention_, sequence, prompts_.system, k_prefill_chunk);
    system_ = attention_.freeze(sequence);
    if (!prompts_.child.empty()) {
        Sequence longer = attention_.start(system_);
        model_.prefill(attention_, longer, prompts_.child, k_prefill_chunk);
        child_ = attention_.freeze(longer);
    }
    result_.prefill_seconds = now() - before;
}

void Server::admit(int64_t step) {
    while (next_request_ < requests_.size() && requests_[next_request_].arrive <= step &&
           static_cast<int64_t>(streams_.size()) < settings_.max_concurrent) {
        const Request& request = requests_[next_request_];
        auto prefix = request.under_child ? child_ : system_;
        if (mode_.sharing == Sharing::own_copy)
            prefix = attention_.copy(*prefix);
        auto stream = std::make_unique<Stream>();
        stream->request = next_request_++;
        stream->sequence = attention_.start(std::move(prefix));
        stream->pending = request.turns[0].tokens;
        stream->answers.emplace_back();
        streams_.push_back(std::move(stream));
    }
}

// The cache is full: the newest request waits until others have left.
void Server::give_back_last() {
    if (streams_.size() < 2)
        throw std::runtime_error("the cache cannot hold even one request");
    next_request_ = streams_.back()->request;
    streams_.pop_back();
}

bool Server::run_step() {
    const double before = now(), attended = attention_.seconds();
    std::vector<StepPart> parts;
    StepSample sample;
    for (auto& stream : streams_) {
        parts.push_back({&stream->sequence, stream->pending});
        sample.tokens += static_cast<int64_t>(stream->pending.size());
    }
    std::vector<float> logits;
    if (!model_.step(attention_, parts, logits))
        return false;
    for (size_t i = 0; i < streams_.size(); ++i)
        take_token(*streams_[i],
                   logits.data() + i * static_cast<size_t>(model_.config().vocab_size));
    sample.rows = static_cast<int64_t>(streams_.size());
    sample.kv_bytes = attention_.kv_bytes_per_step();
    sample.memory = attention_.bytes_in_use() - template_bytes_;
    sample.attend_seconds = attention_.seconds() - attended;
    result_.steps.push_back(sample);
    result_.generated += sample.rows;
    result_.seconds += now() - before;
    return true;
}

// Greedy: the likeliest token. An answer ends with the model's end token or at the request's limit.
void Server::take_token(Stream& stream, const float* logits) {
    const ModelConfig& config = model_.config();
    const auto token =
        static_cast<int32_t>(std::max_element(logits, logits + config.vocab_size) - logits);
    const Request& request = requests_[stream.request];
    std::vector<int32_t>& answer = stream.answers.back();
    answer.push_back(token);
    stream.pending = {token};
    const bool ended = std::count(config.end_tokens.begin(), config.end_tokens.end(), token) != 0;
    if (!ended && static_cast<int64_t>(answer.size()) < request.max_tokens)
        return;
    if (++stream.turn == request.turns.size()) {
        stream.done = true;
        return;
    }
    const std::vector<int32_t>& question = request.turns[stream.turn].tokens;
    stream.pending.insert(stream.pending.end(), question.begin(), question.end());
    stream.answers.emplace_back();
}

void Server::retire(int64_t step, std::ostream* log) {
    for (auto& stream : streams_) {
        if (!stream->done)
            continue;
        if (log != nullptr)
            print_answers(*stream, step, *log);
        result_.answers[stream->request] = std::move(stream->answers);
    }
    std::erase_if(streams_, [](const auto& stream) { return stream->done; });
}

void Server::print_answers(const Stream& stream, int64_t step, std::ostream& log) const {
    const Request& request = requests_[stream.request];
    log << "step " << step << ": request " << request.number
        << (request.under_child ? " (child prompt)" : "") << " leaves\n";
    for (size_t i = 0; i < request.turns.size(); ++i) {
        const std::string answer = vocabulary_.decode(stream.answers[i]);
        const std::string& right = request.turns[i].right_answer;
        const char* verdict = right.empty() ? "" : answer == right ? "   right" : "   WRONG";
        log << "    " << request.turns[i].text << "  ->  " << answer << verdict << '\n';
    }
}

ServeResult Server::run(std::ostream* log) {
    prefill_prompts();
    if (mode_.sharing == Sharing::own_copy)
        template_bytes_ = attention_.bytes_in_use();
    for (int64_t step = 0; next_request_ < requests_.size() || !streams_.empty(); ++step) {
        admit(step);
        if (streams_.empty())
            continue;
        while (!run_step())
            give_back_last();
        if (log != nullptr && step % k_progress_every == 0)
            *log << "step " << step << ": " << streams_.size() << " requests under way, "
                 << requests_.size() - next_request_ << " to come\n";
        retire(step, log);
    }
    return std::move(result_);
}

}  // namespace serve
