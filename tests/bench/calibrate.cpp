#include "calibrate.h"

#include <algorithm>
#include <cstdio>
#include <iostream>

#include "measure.h"
#include "support/dtype.h"

namespace relayattn::bench {
namespace {

constexpr int64_t k_head_dims[] = {64, 128, 256};
constexpr int64_t k_kv_heads = 8, k_group = 4;
constexpr int64_t k_short_prefix = 64, k_short_tail = 16;
// Sequences below one prefix that make an item with many rows, and the tokens of a short such item.
constexpr int64_t k_many_rows = 16, k_many_prefix = 128;

// Large enough that what is measured outweighs all else, small enough to be over soon.
struct Sizes {
    int64_t read_rows, read_tail;    // sequences of their own
    int64_t many_rows, many_prefix;  // one prefix for all
    int64_t items;                   // short sequences; then twice as many
    int64_t warm_tail;               // of read_rows sequences that stay in a cache
};
constexpr Sizes k_cpu{8, 2048, 32, 2048, 128, 128};
constexpr Sizes k_gpu{32, 2048, 256, 16384, 512, 64};

struct Figures {
    double read, few, many, item, many_item, partial, launch;  // as in RELAYATTN_FIGURES
};

class Calibration {
  public:
    Calibration(Device& device, ra_context context, const Options& options)
        : device_(device),
          context_(context),
          options_(options),
          sizes_(options.backend == RA_BACKEND_CUDA ? k_gpu : k_cpu) {}

    Figures measure_all(Dtypes dtypes, int64_t head_dim) {
        dtypes_ = dtypes;
        head_dim_ = head_dim;
        Figures figures{};
        const Sample cold = sample(1, sizes_.read_rows, 0, sizes_.read_tail, Mode::flat);
        figures.read = cold.bytes / cold.ns;
        figures.few = std::max(few_rate(sizes_.read_tail, true), few_rate(sizes_.warm_tail, false));
        const Sample shared = sample(4, sizes_.many_rows, sizes_.many_prefix, 1, Mode::relay);
        figures.many = shared.flops / shared.ns;
        fit_fixed_costs(figures);
        return figures;
    }

  private:
    struct Sample {
        double ns, bytes, flops;
    };

    // `group` query heads for each KV head.
    Shape shape_of(int64_t group, int64_t rows, int64_t tail) const {
        Shape shape;
        shape.q_heads = group * k_kv_heads;
        shape.kv_heads = k_kv_heads;
        shape.head_dim = head_dim_;
        shape.rows.assign(static_cast<size_t>(rows), {-1, tail});
        return shape;
    }

    Sample sample(const Shape& shape, Mode mode, bool cold = true) {
        Options options = options_;
        options.modes = {mode};
        options.cold = cold;
        const Cell cell = measure(device_, context_, shape, dtypes_, options).front();
        const double seconds =
            device_.judged_by_minimum() ? cell.attend.minimum() : cell.attend.median();
        std::cerr << "." << std::flush;
        return {seconds * 1e9, cell.work.bytes, cell.work.flops};
    }

    // At most one prefix, for all rows.
    Sample sample(int64_t group, int64_t rows, int64_t prefix, int64_t tail, Mode mode,
                  bool cold = true) {
        Shape shape = shape_of(group, rows, tail);
        if (prefix > 0) {
            shape.prefixes.push_back({-1, prefix});
            for (Row& row : shape.rows)
                row.prefix = 0;
        }
        return sample(shape, mode, cold);
    }

    // Cold it may be the memory that binds, warm the start: the better of the two counts.
    double few_rate(int64_t tail, bool cold) {
        const Sample few = sample(8, sizes_.read_rows, 0, tail, Mode::flat, cold);
        return few.flops / few.ns;
    }

    // From how the time grows with the number of sequences, so that starting drops out.
    void fit_fixed_costs(Figures& figures) {
        constexpr int64_t group = k_group;
        const int64_t n = sizes_.items;
        const auto growth = [&](int64_t prefix, Mode mode) {
            return sample(group, 2 * n, prefix, k_short_tail, mode).ns -
                   sample(group, n, prefix, k_short_tail, mode).ns;
        };
        const auto items = static_cast<double>(n * k_kv_heads);
        const auto partials = static_cast<double>(2 * n * group * k_kv_heads);
        const auto token_bytes = static_cast<double>(2 * head_dim_ * test::size_of(dtypes_.kv));
        const double own = growth(0, Mode::flat);
        figures.item = std::max(
            0.0, own / items - static_cast<double>(k_short_tail) * token_bytes / figures.read);
        const double product =
            4.0 * static_cast<double>(head_dim_ * k_short_prefix * group) * items / figures.many;
        figures.partial =
            std::max(0.0, (growth(k_short_prefix, Mode::relay) - own - product) / partials);
        figures.many_item = many_item(figures, own);
        const auto pair = [&](Mode mode) {
            return sample(group, 2, k_short_prefix, k_short_tail, mode).ns;
        };
        figures.launch = std::max(0.0, pair(Mode::relay) - pair(Mode::flat));
    }

    // What is left of an item with many rows when it has no tokens, by twice a short one and one
    // that is twice as long; its rows' tails and partials are known.
    double many_item(const Figures& figures, double own) {
        const int64_t prefixes = sizes_.items / k_many_rows;
        const auto growth = [&](int64_t tokens) {
            const auto time = [&](int64_t count) {
                Shape shape = shape_of(k_group, count * k_many_rows, k_short_tail);
                shape.prefixes.assign(static_cast<size_t>(count), {-1, tokens});
                for (int64_t i = 0; i < shape.num_rows(); ++i)
                    shape.rows[static_cast<size_t>(i)].prefix = i / k_many_rows;
                return sample(shape, Mode::relay).ns;
            };
            return time(2 * prefixes) - time(prefixes);
        };
        const double empty = 2 * growth(k_many_prefix) - growth(2 * k_many_prefix) - own;
        const auto items = static_cast<double>(prefixes * k_kv_heads);
        const auto partials = static_cast<double>(2 * k_many_rows * k_group);
        return std::max(0.0, empty / items - partials * figures.partial - figures.item);
    }

    Device& device_;
    ra_context context_;
    const Options& options_;
    Sizes sizes_;
    Dtypes dtypes_{};
    int64_t head_dim_ = 0;
};

}  // namespace

std::string calibrate(Device& device, ra_context context, const Options& options,
                      const std::string& target, int64_t threads) {
    std::string text =
        "relayattn-figures 1\n# relayattn-bench --calibrate; name this file in "
        "RELAYATTN_FIGURES\n";
    Calibration calibration(device, context, options);
    for (const Dtypes dtypes : options.dtypes) {
        for (const int64_t head_dim : k_head_dims) {
            std::cerr << dtypes.name() << ", head_dim " << head_dim << " " << std::flush;
            const Figures f = calibration.measure_all(dtypes, head_dim);
            std::cerr << "\n";
            char line[512];
            std::snprintf(line, sizeof line,
                          "device=%s target=%s dtype=%s head_dim=%lld threads=%lld read=%.4g "
                          "few=%.4g many=%.4g item=%.4g many_item=%.4g partial=%.4g launch=%.4g\n",
                          options.backend == RA_BACKEND_CUDA ? "cuda" : "cpu", target.c_str(),
                          test::name_of(dtypes.kv), static_cast<long long>(head_dim),
                          static_cast<long long>(threads), f.read, f.few, f.many, f.item,
                          f.many_item, f.partial, f.launch);
            text += line;
        }
    }
    return text;
}

}  // namespace relayattn::bench
