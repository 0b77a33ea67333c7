// A small serving loop whose cache and attention are relayattn's C API and nothing else.

#include <algorithm>
#include <exception>
#include <iostream>
#include <stdexcept>

#include "options.h"
#include "report.h"

namespace {

using namespace serve;

Prompts read_prompts(const Options& options, const Vocabulary& vocabulary, int32_t start_token) {
    Prompts prompts;
    prompts.system = vocabulary.encode(read_text(options.system), options.system);
    if (start_token >= 0)
        prompts.system.insert(prompts.system.begin(), start_token);
    if (prompts.system.empty())
        throw std::runtime_error(options.system + ": is empty");
    if (!options.child.empty())
        prompts.child = vocabulary.encode(read_text(options.child), options.child);
    return prompts;
}

void check_child(const std::vector<Request>& requests, const Prompts& prompts) {
    const bool wanted = std::any_of(requests.begin(), requests.end(),
                                    [](const Request& request) { return request.under_child; });
    if (wanted && prompts.child.empty())
        throw std::runtime_error(
            "some requests are under the child prompt: --child FILE is missing or empty");
}

int serve_requests(const Options& options) {
    Model model(options.model);
    const Vocabulary vocabulary(options.model, model.config().vocab_size);
    const Prompts prompts = read_prompts(options, vocabulary, model.config().start_token);
    const std::vector<Request> requests = read_requests(options.requests, vocabulary);
    check_child(requests, prompts);
    set_linear_threads(options.server.threads);
    std::cout << requests.size() << " requests; system prompt of " << prompts.system.size()
              << " tokens, child prompt of " << prompts.child.size() << " more; "
              << options.server.threads << " threads\n";
    std::vector<ModeRow> rows;
    for (const Mode& mode : options.modes) {
        std::cout << "serving, mode " << mode.name << " ...\n" << std::flush;
        Server server(model, vocabulary, prompts, requests, options.server, mode);
        // The answers are shown once: the other modes are compared with them token by token.
        std::ostream* log = options.quiet || !rows.empty() ? nullptr : &std::cout;
        ModeRow row{mode.name, server.run(log), {}};
        row.score = score(requests, row.result, vocabulary);
        rows.push_back(std::move(row));
    }
    print_report(rows, std::cout);
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    try {
        const auto options = parse_options(argc, argv);
        return options ? serve_requests(*options) : 0;
    } catch (const std::exception& error) {
        std::cerr << "relayattn-serve: " << error.what() << '\n';
        return 1;
    }
}
