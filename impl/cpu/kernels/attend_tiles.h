// A step of an item by tiles. Rows go through it in groups, and the three parts of a group's work
// lie beside those of its neighbours: while tiles multiply for one group, vectors make another
// one's probabilities, a row at a time between the dots. Tiles work by themselves once they are
// told to.
#pragma once

#include "impl/cpu/kernels/stream.h"
#include "impl/cpu/kernels/tiles.h"
#include "impl/cpu/kernels/unit.h"

namespace relayattn::cpu {
namespace {

constexpr int64_t k_most_groups = k_max_rows / (2 * k_tile_rows);

// The groups of rows that see something of a step.
template <class V>
struct TileGroups {
    TileGroup<V> of[k_most_groups];
    int64_t count = 0;

    TileGroups(const Unit& u, const Step& step) {
        for (int64_t begin = 0; begin < u.rows; begin += k_tile_rows) {
            const int64_t left = u.rows - begin;
            const int64_t rows = left < k_tile_rows ? left : k_tile_rows;
            if (u.item.masked != 0 && !sees(u, begin, rows, step)) {
                continue;
            }
            if (count == 0 || of[count - 1].count == 2) {
                of[count].scores = count % 2 == 0 ? u.scratch.scores : u.scratch.more_scores;
                ++count;
            }
            TileGroup<V>& group = of[count - 1];
            group.begin[group.count] = begin;
            group.rows[group.count] = rows;
            ++group.count;
        }
    }
};

// From a group's scores to its probabilities: the largest scores of its rows first, then row by
// row, so many at each beat. Beats are alike, for a branch that is not foretold stops the tiles,
// too.
template <class V, class T>
class Softening {
  public:
    Softening(const Unit& u, const Step& step)
        : u_(u), step_(step), shaped_(needs_shape<T>(u, step)) {}

    // To be done within so many beats.
    void start(TileGroup<V>& group, int64_t beats) {
        group_ = &group;
        row_ = k_tops;
        end_ = (group.count - 1) * k_tile_rows + group.rows[group.count - 1];
        per_beat_ = beats > 0 ? (end_ + beats - 1) / beats : 1;
    }

    void beat() {
        for (int64_t left = per_beat_; left > 0 && row_ < end_; --left) {
            next();
        }
    }

    bool done() const { return row_ == end_; }

    void next() {
        if (row_ == k_tops) {
            for (int i = 0; i < group_->count; ++i) {
                raise(i);
            }
        } else {
            soften(row_);
        }
        ++row_;
    }

  private:
    static constexpr int64_t k_tops = -1;  // before row 0

    const Unit& u_;
    const Step& step_;
    const bool shaped_;
    TileGroup<V>* group_ = nullptr;
    int64_t row_ = 0, end_ = 0, per_beat_ = 0;

    float factor() const { return shaped_ ? 1.0f : u_.job.q_scale; }

    [[gnu::noinline]] void raise(int tile) {
        static_assert(V::width == k_tile_rows);
        const int64_t begin = group_->begin[tile];
        float* scores = group_->scores + tile * k_tile_rows * k_score_stride;
        typename V::F rows[k_tile_rows];
        for (auto& row : rows) {
            row = V::set(-k_infinity);
        }
        for (int64_t r = 0; r < group_->rows[tile]; ++r, scores += k_score_stride) {
            if (shaped_) {
                shape_row<V, T>(u_, begin + r, step_, scores);
            }
            rows[r] = lanes_top<V>(scores, step_.columns);
        }
        V::store(group_->levels[tile].tops, V::hmax_each(rows));
        group_->levels[tile].raise(u_.scratch.m + begin, factor());
    }

    // Of two tiles, the first one has all its rows.
    [[gnu::always_inline]] void soften(int64_t row) {
        const int64_t tile = row / k_tile_rows, r = row % k_tile_rows;
        const auto& levels = group_->levels[tile];
        if (levels.alpha[r] != 1) {  // seldom, once a row has seen some hundred keys
            const Scratch& s = u_.scratch;
            scale_row<V>(s.o + (group_->begin[tile] + r) * s.o_stride, s.o_stride, levels.alpha[r]);
        }
        softmax_split_row<V>(group_->scores + row * k_score_stride, step_.columns, factor(),
                             levels.bases[r], levels.alpha[r],
                             u_.scratch.l + (group_->begin[tile] + r) * 16);
    }
};

// All work on one step.
template <class V, class T>
class TileStep {
  public:
    TileStep(const Unit& u, const Step& step, Stream& stream)
        : u_(u), step_(step), stream_(stream), soft_(u, step), groups_(u, step), columns_(step) {}

    void run() {
        const int64_t count = groups_.count;
        int64_t dots = 0;
        for (int64_t g = 0; g < count; ++g) {
            dots += score_dots(g) + weigh_dots(g);
        }
        // Alone, a group's rows take their turn between its products.
        stream_.pace(dots + (count == 1 ? k_row_dots * u_.rows : 0));
        if (count > 0) {
            score(0);
        }
        for (int64_t g = 0; g < count; ++g) {
            const int64_t before = g > 0 ? weigh_dots(g - 1) / (2 * k_tile_sums) : 0;
            const int64_t after = g + 1 < count ? score_dots(g + 1) / k_tile_sums : 0;
            soft_.start(groups_.of[g], before + after);
            if (g > 0) {
                weigh(g - 1);
            }
            if (g + 1 < count) {
                score(g + 1);
            }
            while (!soft_.done()) {
                soft_.next();
                stream_.beat(k_row_dots);
            }
        }
        if (count > 0) {
            weigh(count - 1);
        }
    }

  private:
    static constexpr int64_t k_row_dots = 8;  // in the time of a row's softmax

    const Unit& u_;
    const Step& step_;
    Stream& stream_;
    Softening<V, T> soft_;
    TileGroups<V> groups_;
    ColumnTiles<V, T> columns_;

    int64_t score_dots(int64_t g) const {
        return groups_.of[g].count * (step_.columns / k_lane) *
               (u_.job.layout.head_dim_k / k_tile_terms);
    }
    int64_t weigh_dots(int64_t g) const {
        return 2 * groups_.of[g].count * columns_.count() *
               (round_up(u_.job.layout.head_dim_v, k_lane) / k_lane);
    }
    auto beat() {
        return [this](int64_t dots) {
            stream_.beat(dots);
            soft_.beat();
        };
    }
    void score(int64_t g) {
        const TileGroup<V>& group = groups_.of[g];
        const float* q[2];
        for (int i = 0; i < group.count; ++i) {
            q[i] = u_.scratch.q + group.begin[i] * k_q_stride;
        }
        auto after = beat();
        if (group.count == 1) {
            score_group<V, T, 1>(u_.job.layout, q, step_, group.scores, after);
        } else {
            score_group<V, T, 2>(u_.job.layout, q, step_, group.scores, after);
        }
    }
    void weigh(int64_t g) {
        const TileGroup<V>& group = groups_.of[g];
        const int64_t stride = u_.scratch.o_stride;
        float* o[2];
        for (int i = 0; i < group.count; ++i) {
            o[i] = u_.scratch.o + group.begin[i] * stride;
        }
        auto after = beat();
        if (group.count == 1) {
            weigh_group<V, T, 1>(u_.job.layout, columns_, group.scores, o, stride, after);
        } else {
            weigh_group<V, T, 2>(u_.job.layout, columns_, group.scores, o, stride, after);
        }
    }
};

}  // namespace
}  // namespace relayattn::cpu
