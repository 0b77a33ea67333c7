#include "measure.h"

#include <algorithm>
#include <chrono>
#include <iostream>
#include <memory>
#include <optional>

#include "check.h"
#include "scene.h"
#include "support/dtype.h"

namespace relayattn::bench {
namespace {

using Clock = std::chrono::steady_clock;

double timed(const std::function<void()>& work) {
    const auto start = Clock::now();
    work();
    return std::chrono::duration<double>(Clock::now() - start).count();
}

double middle(std::vector<double> values) {
    std::ranges::sort(values);
    const size_t half = values.size() / 2;
    return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

// Collects until there are enough clean samples, or the patience is over.
class Collector {
  public:
    explicit Collector(int64_t wanted) : wanted_(wanted) {}
    bool is_done() const {
        constexpr int64_t patience = 4;
        return static_cast<int64_t>(clean_.size()) >= wanted_ || taken_ >= patience * wanted_;
    }
    void add(Sample sample) {
        ++taken_;
        (sample.clean ? clean_ : disturbed_).push_back(sample.seconds);
    }
    Times times() const {
        return {clean_.empty() ? disturbed_ : clean_, static_cast<int64_t>(clean_.size()), taken_};
    }

  private:
    int64_t wanted_, taken_ = 0;
    std::vector<double> clean_, disturbed_;
};

int32_t plan_mode(Mode mode) {
    switch (mode) {
        case Mode::relay:
            return RA_MODE_RELAY;
        case Mode::flat:
            return RA_MODE_FLAT;
        default:
            return RA_MODE_AUTO;
    }
}

// What one mode needs while its samples are taken.
struct Case {
    Mode mode;
    Scene& scene;
    Step step;
    std::unique_ptr<Timed> attend;
    Collector samples;
    Cell cell;
    std::vector<double> fresh_begins{};
};

PlanFacts facts_of(const Step& step) {
    return {step.query(RA_PLAN_INFO_LAUNCHES),    step.query(RA_PLAN_INFO_ITEMS),
            step.query(RA_PLAN_INFO_RUNS),        step.query(RA_PLAN_INFO_RELAY_RUNS),
            step.query(RA_PLAN_INFO_PARTIALS),    step.query(RA_PLAN_INFO_KV_BYTES),
            step.query(RA_PLAN_INFO_PREDICTED_NS)};
}

double check_output(Device& device, const Scene& scene, const Inputs& inputs, Dtypes dtypes) {
    const Shape& shape = scene.shape();
    const int64_t count = scene.num_tokens() * shape.q_heads * shape.head_dim;
    std::vector<unsigned char> bytes(static_cast<size_t>(scene.out().size()));
    device.download(bytes.data(), scene.out().data(), scene.out().size());
    std::vector<float> values(static_cast<size_t>(count));
    test::decode(bytes.data(), count, dtypes.q, values.data());
    return relative_error(shape, inputs, values);
}

// Attends once, which warms up, and asks the plan.
void begin_first(Device& device, Case& c, const Inputs& inputs, const Options& options) {
    const int64_t size = c.scene.out().size();
    const std::vector<unsigned char> poison(static_cast<size_t>(size), 0xff);  // NaN in any dtype
    device.upload(c.scene.out().data(), poison.data(), size);
    c.cell.begin_first = timed([&] { c.step.begin(); });
    c.step.attend(device.queue());
    device.synchronise();
    c.cell.plan = facts_of(c.step);
    if (options.check)
        c.cell.error = check_output(device, c.scene, inputs, c.cell.dtypes);
    c.attend = device.prepare([&c](void* queue) { c.step.attend(queue); }, options.graph);
    c.step.abort();
}

// A decode loop's begins: the same sequences, each one step longer than before.
void begin_steadily(Device& device, Case& c) {
    std::vector<double> seconds;
    for (int64_t i = 0; i < Scene::k_spare_steps; ++i) {
        const double taken = timed([&] { c.step.begin(); });
        if (i > 0)
            seconds.push_back(taken);
        c.step.commit();
        device.synchronise();
    }
    c.scene.truncate();
    c.cell.begin_steady = middle(seconds);
}

void take_sample(Device& device, Case& c, bool cold) {
    c.fresh_begins.push_back(timed([&] { c.step.begin(); }));  // an abort ended the last step
    if (cold)
        device.flush_caches(c.scene.memory());
    c.samples.add(c.attend->run());
    c.step.abort();
}

// What is measured in turns with the samples: reading alone.
struct Reading {
    std::unique_ptr<Timed> timed;
    std::vector<Range> memory;
    Collector samples;
};

void take_round(Device& device, std::vector<std::unique_ptr<Case>>& cases, Reading& read,
                bool cold) {
    if (cold)
        device.flush_caches(read.memory);
    read.samples.add(read.timed->run());
    for (const auto& c : cases)
        take_sample(device, *c, cold);
}

void take_rounds(Device& device, std::vector<std::unique_ptr<Case>>& cases, Reading& read,
                 const Options& options) {
    const auto all_done = [&] {
        return read.samples.is_done() &&
               std::ranges::all_of(cases, [](const auto& c) { return c->samples.is_done(); });
    };
    bool done = false;
    while (!done && (!options.paced || wait_for_turn())) {
        take_round(device, cases, read, options.cold);
        done = all_done();
        if (options.paced)
            end_turn(done ? "last" : "round");
    }
}

}  // namespace

bool wait_for_turn() {
    std::string line;
    return static_cast<bool>(std::getline(std::cin, line));
}

void end_turn(const char* answer) {
    std::cout << answer << "\n" << std::flush;
}

double Times::minimum() const {
    return *std::ranges::min_element(seconds);
}

double Times::median() const {
    return middle(seconds);
}

double Times::spread() const {
    return (*std::ranges::max_element(seconds) - minimum()) / median();
}

std::string PlanFacts::name() const {
    return relay_runs > 0 ? "relay" : "flat";
}

std::vector<Cell> measure(Device& device, ra_context context, const Shape& shape, Dtypes dtypes,
                          const Options& options) {
    const Inputs inputs(dtypes);
    std::optional<Scene> shared, copied;
    const int64_t page_size = options.page_size > 0 ? options.page_size : shape.page_size;
    const auto scene_of = [&](Mode mode) -> Scene& {
        const bool copies = mode == Mode::copies;
        std::optional<Scene>& scene = copies ? copied : shared;
        if (!scene)
            scene.emplace(device, context, shape, inputs, dtypes, page_size, copies);
        return *scene;
    };
    std::vector<std::unique_ptr<Case>> cases;
    const Work work = work_of(shape, dtypes);
    for (const Mode mode : options.modes) {
        Scene& scene = scene_of(mode);
        cases.push_back(std::make_unique<Case>(Case{
            mode, scene, Step(device, scene, plan_mode(mode), options.graph), nullptr,
            Collector(options.repeat), Cell{shape, dtypes, mode, {}, {}, {}, 0, 0, 0, -1, work}}));
        begin_first(device, *cases.back(), inputs, options);
        begin_steadily(device, *cases.back());
    }
    const auto bytes = static_cast<int64_t>(work.bytes);
    Reading read{device.prepare_read(bytes, options.graph),
                 {device.read_range(bytes)},
                 Collector(options.repeat)};
    if (options.paced)
        end_turn("cell");
    take_rounds(device, cases, read, options);
    if (read.samples.times().taken == 0)
        return {};

    std::vector<Cell> cells;
    for (const auto& c : cases) {
        c->cell.attend = c->samples.times();
        c->cell.begin_fresh = middle(c->fresh_begins);
        c->cell.read = read.samples.times();
        cells.push_back(c->cell);
    }
    return cells;
}

}  // namespace relayattn::bench
