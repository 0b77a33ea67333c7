#include "scenario.h"

#include <algorithm>
#include <sstream>

namespace relayattn::test {
namespace {

constexpr size_t most_prefixes = 12;
constexpr size_t most_sequences = 16;

// RA_OK, or the status of the call that refused.
template <class Call>
ra_status attempt(Call&& call) {
    try {
        call();
    } catch (const ApiError& error) {
        return error.status();
    }
    return RA_OK;
}

std::string number(int64_t value) {
    return std::to_string(value);
}

}  // namespace

Scenario::Scenario(uint64_t seed) : random_(seed), mirror_(draw_cache(random_), random_.bits()) {
    const auto count = random_.integer(1, 3);
    for (int64_t i = 0; i < count; ++i) {
        plans_.push_back(draw_plan(random_));
        batches_.push_back(mirror_.batch(plans_.back()));
    }
}

std::string Scenario::story() const {
    std::ostringstream text;
    text << describe(mirror_.spec()) << '\n';
    for (size_t i = 0; i < plans_.size(); ++i)
        text << "  batch " << i << ": mode " << plans_[i].mode << " flags " << plans_[i].flags
             << '\n';
    for (const std::string& line : story_)
        text << "  " << line << '\n';
    return text.str();
}

void Scenario::run() {
    add_prefix();
    for (int64_t i = random_.integer(1, 4); i > 0; --i)
        add_sequence();
    for (int64_t i = random_.integer(10, 50); i > 0; --i)
        act();
    check_everything_is_free();
}

void Scenario::act() {
    const int64_t dice = random_.integer(1, 100);
    if (dice <= 12)
        add_prefix();
    else if (dice <= 27)
        add_sequence();
    else if (dice <= 35)
        fork_one();
    else if (dice <= 43)
        truncate_one();
    else if (dice <= 50)
        split_one();
    else if (dice <= 57)
        freeze_one();
    else if (dice <= 61)
        read_one();
    else if (dice <= 68)
        release_one();
    else if (dice <= 90)
        step();
    else
        decode_on();
}

bool Scenario::window_groups_forget() const {
    const auto& layers = mirror_.spec().layers;
    return std::any_of(layers.begin(), layers.end(), [](const LayerSpec& layer) {
        return layer.owns_kv() && layer.window_kind != RA_WINDOW_NONE && layer.retain != -1;
    });
}

MirrorPrefix* Scenario::any_prefix() {
    return prefixes_.empty() ? nullptr : random_.pick(prefixes_).get();
}

MirrorSequence* Scenario::any_sequence() {
    const auto idle = idle_sequences();
    if (idle.empty())
        return nullptr;
    return idle[static_cast<size_t>(random_.integer(0, static_cast<int64_t>(idle.size()) - 1))];
}

Scenario::Sequences Scenario::idle_sequences() const {
    Sequences idle;
    for (const auto& sequence : sequences_)
        if (std::find(busy_.begin(), busy_.end(), sequence.get()) == busy_.end())
            idle.push_back(sequence.get());
    return idle;
}

void Scenario::add_prefix() {
    if (prefixes_.size() >= most_prefixes)
        return release_prefix(0);
    const MirrorPrefix* parent = random_.chance(60) ? any_prefix() : nullptr;
    const int64_t length = draw_length(random_, mirror_.page_size(), random_.chance(20) ? 400 : 90);
    const auto before = mirror_.free_pages();
    auto prefix = std::make_unique<MirrorPrefix>();
    const ra_status status = attempt([&] { *prefix = mirror_.open_prefix(parent, length); });
    tell("prefix of " + number(length) +
         (parent != nullptr
              ? " under a prefix of " + number(static_cast<int64_t>(parent->tokens.size()))
              : "") +
         ": " + ra_status_name(status));
    if (status == RA_OK) {
        mirror_.write_everything(*prefix);
        ok(ra_prefix_seal(prefix->handle, nullptr));
        prefixes_.push_back(std::move(prefix));
        return;
    }
    expect(status == RA_ERROR_PAGES, "ra_prefix_create: " + last_error());
    expect(mirror_.free_pages() == before, "a failing ra_prefix_create took pages");
    const int64_t enough = length / mirror_.page_size() + 2;
    expect(std::any_of(before.begin(), before.end(), [&](int64_t free) { return free < enough; }),
           "ra_prefix_create found no pages though enough were free");
    release_one();
}

void Scenario::add_sequence() {
    if (sequences_.size() >= most_sequences)
        return release_sequence(0);
    const MirrorPrefix* prefix = random_.chance(85) ? any_prefix() : nullptr;
    tell("attach to " + (prefix != nullptr ? number(static_cast<int64_t>(prefix->tokens.size()))
                                           : std::string("nothing")));
    sequences_.push_back(std::make_unique<MirrorSequence>(mirror_.attach(prefix)));
}

void Scenario::fork_one() {
    const MirrorSequence* sequence = any_sequence();
    if (sequence == nullptr || sequences_.size() >= most_sequences)
        return;
    tell("fork a sequence of " + number(static_cast<int64_t>(sequence->tokens.size())));
    sequences_.push_back(std::make_unique<MirrorSequence>(mirror_.fork(*sequence)));
}

void Scenario::truncate_one() {
    MirrorSequence* sequence = any_sequence();
    if (sequence == nullptr)
        return;
    const auto length = static_cast<int64_t>(sequence->tokens.size());
    const int64_t to = random_.chance(50) ? random_.integer(0, length)
                                          : std::max<int64_t>(0, length - random_.integer(0, 9));
    const int64_t least = min_length_of(sequence->handle);
    const ra_status status = attempt([&] { mirror_.truncate(*sequence, to); });
    tell("truncate " + number(length) + " to " + number(to) + ": " + ra_status_name(status));
    expect(status == (to < least ? RA_ERROR_NOT_RETAINED : RA_OK),
           "ra_sequence_truncate to " + number(to) + ", min " + number(least) + ": " +
               ra_status_name(status));
    expect(least == 0 || window_groups_forget(), "min is " + number(least) + " without windows");
    mirror_.check_length(*sequence);
}

void Scenario::split_one() {
    MirrorPrefix* prefix = any_prefix();
    if (prefix == nullptr || prefixes_.size() >= most_prefixes)
        return;
    const int64_t own = mirror_.own_length(*prefix);
    if (own < 2)
        return;
    const int64_t at = random_.integer(1, own - 1);
    const auto before = mirror_.free_pages();
    auto head = std::make_unique<MirrorPrefix>();
    const ra_status status = attempt([&] { *head = mirror_.split(*prefix, at); });
    tell("split " + number(own) + " own tokens at " + number(at) + ": " + ra_status_name(status));
    expect(mirror_.free_pages() == before, "ra_prefix_split took or gave pages");
    if (status == RA_OK)
        return prefixes_.push_back(std::move(head));
    expect(status == RA_ERROR_NOT_RETAINED && window_groups_forget(),
           "ra_prefix_split: " + last_error());
    expect(mirror_.own_length(*prefix) == own, "a failing ra_prefix_split changed the prefix");
}

void Scenario::freeze_one() {
    MirrorSequence* sequence = any_sequence();
    if (sequence == nullptr || sequence->tokens.empty() || prefixes_.size() >= most_prefixes)
        return;
    const auto length = static_cast<int64_t>(sequence->tokens.size());
    const int64_t count = random_.chance(50) ? -1 : random_.integer(1, length);
    auto prefix = std::make_unique<MirrorPrefix>();
    const ra_status status = attempt([&] { *prefix = mirror_.freeze(*sequence, count); });
    tell("freeze " + number(count) + " of " + number(length) + ": " + ra_status_name(status));
    if (status == RA_OK)
        return prefixes_.push_back(std::move(prefix));
    expect(status == RA_ERROR_NOT_RETAINED && window_groups_forget() && count > 0,
           "ra_prefix_from_sequence: " + last_error());
    mirror_.check_length(*sequence);
}

void Scenario::read_one() {
    const MirrorPrefix* prefix = any_prefix();
    if (prefix == nullptr)
        return;
    const int64_t own = mirror_.own_length(*prefix);
    for (int64_t index = 0; index < mirror_.num_layers(); ++index) {
        const LayerSpec& layer = mirror_.layer(index);
        if (!layer.owns_kv())
            continue;
        const int64_t pos = random_.integer(0, own - 1);
        const int64_t count = random_.integer(1, own - pos);
        const ra_status status = mirror_.read_back(*prefix, index, pos, count);
        tell("read " + number(count) + " at " + number(pos) + " of layer " + number(index) + ": " +
             ra_status_name(status));
        const bool forgets = layer.window_kind != RA_WINDOW_NONE && layer.retain != -1;
        expect(status == RA_OK || (forgets && status == RA_ERROR_NOT_RETAINED),
               "ra_prefix_read: " + last_error());
    }
}

void Scenario::release_one() {
    if (!sequences_.empty() && random_.chance(50))
        release_sequence(
            static_cast<size_t>(random_.integer(0, static_cast<int64_t>(sequences_.size()) - 1)));
    else if (!prefixes_.empty())
        release_prefix(
            static_cast<size_t>(random_.integer(0, static_cast<int64_t>(prefixes_.size()) - 1)));
}

void Scenario::release_prefix(size_t index) {
    tell("release a prefix of " + number(static_cast<int64_t>(prefixes_[index]->tokens.size())));
    prefixes_.erase(prefixes_.begin() + static_cast<std::ptrdiff_t>(index));
}

void Scenario::release_sequence(size_t index) {
    const auto at = sequences_.begin() + static_cast<std::ptrdiff_t>(index);
    tell("release a sequence of " + number(static_cast<int64_t>((*at)->tokens.size())));
    (*at)->handle.reset();
    dying_.push_back(std::move(*at));  // an open step still points to it
    sequences_.erase(at);
    if (busy_.empty())
        dying_.clear();
}

void Scenario::check_everything_is_free() {
    while (!sequences_.empty() || !prefixes_.empty())
        release_one();
    expect(mirror_.free_pages() == mirror_.total_pages(), "pages are missing after all releases");
}

}  // namespace relayattn::test
