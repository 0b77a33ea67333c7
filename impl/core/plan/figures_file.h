// Figures that were measured on the machine at hand, in place of a backend's own table.
//
//     relayattn-figures 1
//     # a comment
//     device=cuda target=sm_90 dtype=bf16 head_dim=128 threads=0 read=4200 few=9e4 many=6e5 ...
//
// One line for each kind of layer, written by relayattn-bench --calibrate. All figures are those of
// the whole device, and so need not know how a backend counts its workers:
//
//     read, few, many   bytes, and flops with few and with many rows, per ns
//     item, partial     ns that one more item on a KV head, or one more partial of a query head,
//                       takes when the device is full
//     many_item         what an item with many rows takes more than that; without it the
//                       backend's figure stands
//     launch            ns that an attend takes longer because it has partials
//
// A layer takes the line with its device, target and dtype whose head_dim is nearest to its own;
// without one its backend's figures stand. On a CPU, rates are scaled by the number of threads.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "impl/backend.h"

namespace relayattn {

class FiguresTable {
  public:
    // The file that RELAYATTN_FIGURES names; empty where it names none.
    static Result<FiguresTable> from_environment();
    // `name` stands for the text in messages.
    static Result<FiguresTable> parse(const std::string& text, const std::string& name);

    void apply(const BackendInfo& info, const Layer& layer, DeviceFigures& figures) const;

  private:
    struct Line {
        std::string device, target;
        Dtype dtype = Dtype::f32;
        int64_t head_dim = 0, threads = 0;  // threads: 0 on a GPU
        double read = 0, few = 0, many = 0, item = 0, partial = 0, launch = 0;
        std::optional<double> many_item;
    };
    static Result<Line> parse_line(const std::string& text, const std::string& where);

    std::vector<Line> lines_;
};

}  // namespace relayattn
