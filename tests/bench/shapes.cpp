#include "shapes.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <random>
#include <string_view>

namespace relayattn::bench {
namespace {

struct Heads {
    std::string name;
    int64_t q, kv, dim;
};

const Heads k_llama3_8b{"llama3-8b", 32, 8, 128};
const Heads k_llama2_7b{"llama2-7b", 32, 32, 128};
const Heads k_llama3_70b_tp8{"llama3-70b-tp8", 8, 1, 128};
const Heads k_qwen25_7b{"qwen2.5-7b", 28, 4, 128};
const Heads k_qwen25_14b{"qwen2.5-14b", 40, 8, 128};
const Heads k_llama32_1b{"llama3.2-1b", 32, 8, 64};
const Heads k_gemma2_9b{"gemma2-9b", 16, 8, 256};
const Heads k_head_dim_96{"head-dim-96", 32, 8, 96};

Shape empty_shape(std::string name, const Heads& heads) {
    Shape shape;
    shape.name = std::move(name);
    shape.q_heads = heads.q;
    shape.kv_heads = heads.kv;
    shape.head_dim = heads.dim;
    return shape;
}

// `count` sequences below every prefix of `leaves`; tails are drawn from low..high, always the
// same.
void add_rows(Shape& shape, const std::vector<int64_t>& leaves, int64_t count, int64_t low,
              int64_t high) {
    std::mt19937_64 random(20240229);
    std::uniform_int_distribution<int64_t> tail(low, high);
    for (const int64_t leaf : leaves)
        for (int64_t i = 0; i < count; ++i)
            shape.rows.push_back({leaf, tail(random)});
}

// Of a forest whose prefixes and sequences are divided evenly among those above them.
struct Level {
    int64_t prefixes, tokens;
};

std::string text_of(int64_t low, int64_t high) {
    std::string text = std::to_string(low);
    return low == high ? text : text.append("..").append(std::to_string(high));
}

std::string text_of(const std::vector<Level>& levels) {
    std::string text;
    for (const Level& level : levels) {
        text.append(text.empty() ? "" : "+").append(std::to_string(level.prefixes));
        text.append("x").append(std::to_string(level.tokens));
    }
    return text.empty() ? "0" : text;
}

std::string spell(int64_t rows, const Heads& heads, const std::string& prefix,
                  const std::string& tail) {
    return std::to_string(rows) + "," + std::to_string(heads.q) + "/" + std::to_string(heads.kv) +
           "," + std::to_string(heads.dim) + "," + prefix + "," + tail;
}

Shape forest(std::string name, const Heads& heads, int64_t rows, const std::vector<Level>& levels,
             int64_t low, int64_t high) {
    Shape shape = empty_shape(std::move(name), heads);
    int64_t first = -1, count = 1;  // of the level above
    for (const Level& level : levels) {
        const auto begin = static_cast<int64_t>(shape.prefixes.size());
        for (int64_t i = 0; i < level.prefixes; ++i)
            shape.prefixes.push_back(
                {first < 0 ? -1 : first + i * count / level.prefixes, level.tokens});
        first = begin;
        count = level.prefixes;
    }
    std::vector<int64_t> leaves;
    for (int64_t i = 0; i < count; ++i)
        leaves.push_back(first < 0 ? -1 : first + i);
    add_rows(shape, leaves, rows / count, low, high);
    return shape;
}

Shape forest(std::string name, const Heads& heads, int64_t rows, const std::vector<Level>& levels,
             int64_t tail) {
    Shape shape = forest(std::move(name), heads, rows, levels, tail, tail);
    shape.spelled = spell(rows, heads, text_of(levels), std::to_string(tail));
    return shape;
}

Shape one_prefix(const Heads& heads, int64_t rows, int64_t prefix, int64_t low, int64_t high) {
    const std::string tokens = std::to_string(prefix), tail = text_of(low, high);
    Shape shape =
        forest(heads.name + "/B" + std::to_string(rows) + "/P" + tokens + "/S" + tail, heads, rows,
               prefix > 0 ? std::vector<Level>{{1, prefix}} : std::vector<Level>{}, low, high);
    shape.spelled = spell(rows, heads, tokens, tail);
    return shape;
}

Shape one_prefix(const Heads& heads, int64_t rows, int64_t prefix, int64_t tail) {
    return one_prefix(heads, rows, prefix, tail, tail);
}

std::vector<Shape> standard_shapes() {
    return {one_prefix(k_llama3_8b, 1, 4096, 256),       one_prefix(k_llama3_8b, 8, 4096, 256),
            one_prefix(k_llama3_8b, 32, 2048, 512),      one_prefix(k_llama3_8b, 32, 8192, 256),
            one_prefix(k_llama3_8b, 64, 16384, 512),     one_prefix(k_llama3_8b, 128, 2048, 256),
            one_prefix(k_llama3_8b, 128, 4096, 256),     one_prefix(k_llama3_8b, 256, 32768, 256),
            one_prefix(k_llama3_8b, 16, 131072, 1024),   one_prefix(k_llama2_7b, 32, 2048, 128),
            one_prefix(k_llama2_7b, 64, 4096, 256),      one_prefix(k_llama3_70b_tp8, 8, 4096, 128),
            one_prefix(k_llama3_70b_tp8, 64, 8192, 512), one_prefix(k_qwen25_7b, 64, 8192, 256),
            one_prefix(k_llama32_1b, 64, 4096, 256),     one_prefix(k_gemma2_9b, 32, 4096, 256)};
}

std::vector<Shape> cpu_shapes() {
    return {one_prefix(k_llama3_8b, 1, 4096, 256),  one_prefix(k_llama3_8b, 8, 4096, 256),
            one_prefix(k_llama3_8b, 32, 2048, 256), one_prefix(k_llama3_8b, 32, 8192, 128),
            one_prefix(k_llama3_8b, 64, 4096, 128), one_prefix(k_llama32_1b, 32, 4096, 128),
            one_prefix(k_llama2_7b, 16, 2048, 128)};
}

std::vector<Shape> tree_shapes() {
    return {
        forest("noprefix/B64/S4096", k_llama3_8b, 64, {}, 4096),
        forest("tree/root4096/4x2048/64x256", k_llama3_8b, 64, {{1, 4096}, {4, 2048}}, 256),
        forest("forest/8x4096/64x256", k_llama3_8b, 64, {{8, 4096}}, 256),
    };
}

// Where a kernel made for even cases falls off a cliff.
std::vector<Shape> odd_shapes() {
    Shape uneven = empty_shape("uneven/512+4096+32768/3x21/S256", k_llama3_8b);
    uneven.prefixes = {{-1, 512}, {-1, 4096}, {-1, 32768}};
    add_rows(uneven, {0, 1, 2}, 21, 256, 256);

    Shape long_tail = one_prefix(k_llama3_8b, 64, 8192, 256);
    long_tail.name = "long-tail/B64/P8192/S256+100000";
    long_tail.spelled.clear();
    long_tail.rows.front().tail = 100000;

    Shape small_pages = one_prefix(k_llama3_8b, 64, 8192, 256);
    small_pages.name = "page-size-16/B64/P8192/S256";
    small_pages.spelled.clear();
    small_pages.page_size = 16;
    return {one_prefix(k_llama3_8b, 64, 8192, 256),
            one_prefix(k_llama3_8b, 64, 8192, 1, 1024),
            small_pages,
            one_prefix(k_qwen25_14b, 64, 8192, 256),
            one_prefix(k_qwen25_7b, 64, 8192, 256),
            one_prefix(k_head_dim_96, 64, 8192, 256),
            uneven,
            long_tail};
}

struct Group {
    const char* name;
    std::vector<Shape> (*shapes)();
};
constexpr Group k_groups[] = {{"standard", standard_shapes},
                              {"cpu", cpu_shapes},
                              {"trees", tree_shapes},
                              {"odd", odd_shapes}};

std::vector<std::string_view> split(std::string_view text, char separator) {
    std::vector<std::string_view> parts;
    for (size_t end; (end = text.find(separator)) != text.npos; text.remove_prefix(end + 1))
        parts.push_back(text.substr(0, end));
    parts.push_back(text);
    return parts;
}

int64_t number(std::string_view text, const char* what, int64_t low, int64_t high) {
    int64_t value = 0;
    const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (failed != std::errc{} || end != text.data() + text.size() || value < low || value > high)
        throw UsageError("--shapes: " + std::string(what) + " is \"" + std::string(text) +
                         "\"; it must be a whole number from " + std::to_string(low) + " to " +
                         std::to_string(high));
    return value;
}

constexpr int64_t k_most_tokens = int64_t{1} << 24, k_most_rows = 65536;

// "4096", or a forest's levels from its roots on: "1x4096+4x2048". The prefixes of a level must be
// a multiple of those above, and `rows` one of the last level's.
std::vector<Level> levels_of(std::string_view text, int64_t rows) {
    std::vector<Level> levels;
    const auto must_divide = [](int64_t above, int64_t below, const char* what) {
        if (below % above != 0)
            throw UsageError("--shapes: " + std::string(what) + " " + std::to_string(below) +
                             "; it must be a multiple of the prefixes above, " +
                             std::to_string(above));
    };
    for (const std::string_view part : split(text, '+')) {
        const auto words = split(part, 'x');
        if (words.size() > 2)
            throw UsageError("--shapes: Lp has \"" + std::string(part) +
                             "\"; it must be tokens, or prefixes x tokens");
        const Level level{words.size() == 2 ? number(words[0], "Lp's prefixes", 1, k_most_rows) : 1,
                          number(words.back(), "Lp", 0, k_most_tokens)};
        if (level.tokens == 0)
            continue;
        if (!levels.empty())
            must_divide(levels.back().prefixes, level.prefixes, "a level of Lp has prefixes");
        levels.push_back(level);
    }
    if (!levels.empty())
        must_divide(levels.back().prefixes, rows, "B is");
    return levels;
}

// "B,Hq/Hkv,D,Lp,Ls[,q]", Lp as above, Ls = a number or a..b
Shape described(const std::string& text) {
    const auto parts = split(text, ',');
    if (parts.size() != 5 && parts.size() != 6)
        throw UsageError("--shapes: \"" + text + "\" has " + std::to_string(parts.size()) +
                         " parts; it must be B,Hq/Hkv,D,Lp,Ls or B,Hq/Hkv,D,Lp,Ls,q");
    const auto heads = split(parts[1], '/');
    if (heads.size() != 2)
        throw UsageError("--shapes: the heads are \"" + std::string(parts[1]) +
                         "\"; they must be written Hq/Hkv");
    Heads geometry{"custom", number(heads[0], "Hq", 1, 1024), number(heads[1], "Hkv", 1, 1024),
                   number(parts[2], "D", 32, 256)};
    if (geometry.dim % 8 != 0)
        throw UsageError("--shapes: D is " + std::to_string(geometry.dim) +
                         "; it must be a multiple of 8");
    if (geometry.q % geometry.kv != 0)
        throw UsageError("--shapes: Hq is " + std::to_string(geometry.q) +
                         "; it must be a multiple of Hkv, " + std::to_string(geometry.kv));
    const int64_t q_len = parts.size() == 6 ? number(parts[5], "q", 1, k_most_tokens) : 1;
    const size_t dots = parts[4].find("..");
    const int64_t low = number(parts[4].substr(0, dots), "Ls", q_len, k_most_tokens);
    const int64_t high = dots == std::string_view::npos
                             ? low
                             : number(parts[4].substr(dots + 2), "Ls's end", low, k_most_tokens);
    const int64_t rows = number(parts[0], "B", 1, k_most_rows);
    Shape shape = forest(text, geometry, rows, levels_of(parts[3], rows), low, high);
    shape.q_len = q_len;
    shape.spelled = text;
    return shape;
}

bool is_called(const Shape& shape, const std::string& text) {
    return shape.name == text || shape.name.starts_with(text + "/");
}

}  // namespace

int64_t Shape::chain_tokens(int64_t prefix) const {
    int64_t tokens = 0;
    for (int64_t p = prefix; p >= 0; p = prefixes[static_cast<size_t>(p)].parent)
        tokens += prefixes[static_cast<size_t>(p)].tokens;
    return tokens;
}

int64_t Shape::tail_tokens() const {
    int64_t tokens = 0;
    for (const Row& row : rows)
        tokens += row.tail;
    return tokens;
}

std::vector<Shape> find_shapes(const std::string& text) {
    if (text.find(',') != text.npos)
        return {described(text)};
    std::vector<Shape> found;
    for (const Group& group : k_groups) {
        if (text == group.name)
            return group.shapes();
        for (Shape& shape : group.shapes()) {
            const bool known = std::ranges::any_of(
                found, [&](const Shape& other) { return other.name == shape.name; });
            if (!known && is_called(shape, text))
                found.push_back(std::move(shape));
        }
    }
    if (found.empty())
        throw UsageError("--shapes: no shape or group is called \"" + text +
                         "\"; --list prints all, and B,Hq/Hkv,D,Lp,Ls[,q] describes any other");
    return found;
}

std::string list_shapes() {
    std::string text;
    for (const Group& group : k_groups) {
        text += std::string(group.name) + ":\n";
        for (const Shape& shape : group.shapes())
            text += "  " + shape.name + (shape.spelled.empty() ? "" : "  ") + shape.spelled + "\n";
    }
    return text;
}

}  // namespace relayattn::bench
