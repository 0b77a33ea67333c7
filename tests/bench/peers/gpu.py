#!/usr/bin/env python3
"""What others reach on this GPU for shared-prefix decode attention, in turns with ours.

    python tests/bench/peers/gpu.py BUILD/tests/bench/relayattn-bench \\
        [--shapes standard trees] [--dtype bf16] [--rounds 50] [--peers NAME...]
        [--time-limit SECONDS] [--json FILE]

Needs PyTorch with CUDA; what else is installed is used, what is not is said once:

  torch cascade   flash attention over each level of prefixes, all sequences' rows together, flash
                  attention over the tails, and all merged by their log-sum-exps
  torch compiled  the same, the merge compiled into one kernel (some seconds for each shape)
  torch cudnn     cuDNN's attention of every sequence over its own copy of the prefix
  fi cascade      FlashInfer's MultiLevelCascadeAttentionWrapper, forced to its fa2 backend, which
                  is faster than the one that it chooses on Hopper
  fi decode       FlashInfer's tensor-core decode over pages; the prefix's pages are shared
  fi xqa          FlashInfer's XQA decode over the same pages

FlashInfer compiles its kernels when they are first used, which takes minutes. A round is one replay
of ours and of each peer, each of a captured CUDA graph, on a cold L2 (flushed by reading). Medians;
`of read` is the time of a kernel that only reads the same bytes, in ours, divided by the time. A
peer whose result is wrong, or that fails, is said so and left out of its cell. Peers are not
charged for appending the new tokens; ours is.

--device cpu tries the PyTorch forms and the report on a machine without a GPU; its times mean
nothing.
"""
import argparse
import json
import math
import os
import statistics
import time

import torch

from gpu_forms import PEERS, installed
from gpu_problem import Problem
from ours import Ours, known_shapes

DTYPES = {"f16": torch.float16, "bf16": torch.bfloat16}
MOST_ERROR = 1e-2
WARM_UP = 3


def read_arguments():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", help="the relayattn-bench that was built, with CUDA")
    parser.add_argument("--shapes", nargs="+", default=["standard", "trees"],
                        help="groups or names that relayattn-bench --list prints with numbers and "
                             "equal tails")
    parser.add_argument("--dtype", nargs="+", default=["bf16"], choices=DTYPES)
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--peers", nargs="+", choices=list(PEERS), default=list(PEERS))
    parser.add_argument("--device", default="0", help="the GPU's number, or cpu")
    parser.add_argument("--time-limit", type=float, default=math.inf, metavar="SECONDS",
                        help="begin no cell after so long, and end the one under way")
    parser.add_argument("--json", help="write all records to this file")
    arguments = parser.parse_args()
    if not os.access(arguments.program, os.X_OK):
        parser.error(f"program is {arguments.program}; it must be the file of relayattn-bench")
    if arguments.device != "cpu" and not arguments.device.isdigit():
        parser.error(f"--device is {arguments.device}; it must be the GPU's number, or cpu")
    for name in ("rounds", "time_limit"):
        if getattr(arguments, name) <= 0:
            parser.error(f"--{name.replace('_', '-')} is {getattr(arguments, name)}; it must be "
                         "more than 0")
    return arguments


class OnGpu:
    """How a call is made ready and timed: as one replay of a graph between two events."""

    def __init__(self, number):
        if not torch.cuda.is_available():
            raise SystemExit("this PyTorch sees no GPU; --device cpu only tries the script")
        torch.cuda.set_device(number)
        self.device = torch.device("cuda", number)
        self.name = torch.cuda.get_device_name()
        self.options = ["--device", f"cuda:{number}", "--graph"]
        self.ends = [torch.cuda.Event(enable_timing=True) for _ in range(2)]

    def prepare(self, call):
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(WARM_UP):
                call()
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            out = call()
        return graph.replay, out

    def seconds(self, replay, flush):
        flush()  # long enough that the rest is enqueued while it runs
        self.ends[0].record()
        replay()
        self.ends[1].record()
        torch.cuda.synchronize()
        return self.ends[0].elapsed_time(self.ends[1]) * 1e-3

    def recover(self, name, reason):
        """After a failure: the memory is given back, or the context is lost."""
        try:
            torch.cuda.synchronize()
            torch.cuda.empty_cache()
        except RuntimeError:
            raise SystemExit(f"{name} has broken the GPU's context: {reason}; name the others in "
                             "--peers") from None


class OnCpu:
    """A stand-in without graphs, to try the script."""
    device, name, options = torch.device("cpu"), "this CPU, only to try the script", []

    def prepare(self, call):
        return call, call()

    def seconds(self, replay, flush):
        flush()
        start = time.perf_counter()
        replay()
        return time.perf_counter() - start

    def recover(self, name, reason):
        pass


class Peer:
    """A peer's call on one problem, checked and ready to be timed."""

    def __init__(self, name, place, problem):
        self.name, self.times = name, []
        call = PEERS[name][1](problem)
        self.error = problem.error(call())
        if not self.error < MOST_ERROR:
            raise RuntimeError(f"its result is wrong: error {self.error:.1e}")
        self.replay, self.out = place.prepare(call)

    def record(self, ours):
        same = ("shape batch q_heads kv_heads head_dim prefix_tokens tail_tokens q_len device isa "
                "dtype threads cold graph floor_us read_us").split()
        median = statistics.median(self.times)
        return {**{key: ours[key] for key in same}, "peer": self.name, "median_us": median,
                "min_us": min(self.times), "samples_taken": len(self.times),
                "of_floor": ours["floor_us"] / median, "of_read": ours["read_us"] / median,
                "error_rel": self.error}


class Cell:
    """One shape and dtype: the peers that run, and why others do not."""

    def __init__(self, place, names, problem):
        self.place, self.problem, self.peers, self.failed = place, problem, [], {}
        for name in names:
            self.attempt(name, lambda name=name: self.peers.append(Peer(name, place, problem)))

    def attempt(self, name, work):
        try:
            work()
        except Exception as reason:  # pylint: disable=broad-exception-caught
            text = (str(reason).strip() or type(reason).__name__).splitlines()[0]
            self.failed[name] = text
            self.peers = [peer for peer in self.peers if peer.name != name]
            self.place.recover(name, text)

    def round(self, flush):
        def sample(peer):
            peer.times.append(self.place.seconds(peer.replay, flush) * 1e6)

        for peer in list(self.peers):
            self.attempt(peer.name, lambda peer=peer: sample(peer))


class Session:
    def __init__(self, arguments, place):
        self.arguments, self.place = arguments, place
        self.end = time.monotonic() + arguments.time_limit
        self.names = installed(arguments.peers)
        self.shapes = known_shapes(arguments.program, arguments.shapes)
        self.ours = Ours(arguments.program, [
            *place.options, "--shapes", *self.shapes, "--dtype", *arguments.dtype, "--repeat",
            str(arguments.rounds)])
        self.records = [self.ours.machine]
        self.buffer = torch.ones(self.ours.machine["flush_bytes"] // 4, device=place.device)

    def is_over(self):
        return time.monotonic() > self.end

    def measure(self, shape, dtype):
        """Our record, and the cell with the peers' samples."""
        self.ours.start_cell()
        cell = Cell(self.place, self.names, Problem(shape, DTYPES[dtype], self.place.device))
        done = False
        while not done:
            done = self.ours.round()
            cell.round(self.buffer.sum)
            done = done or self.is_over()
        return self.ours.record(), cell

    def run(self):
        missing = [name for name in self.arguments.peers if name not in self.names]
        if missing:
            print(f"not installed: {', '.join(missing)}", flush=True)
        for dtype in self.arguments.dtype:
            ratios = {}
            for name, shape in self.shapes.items():
                if self.is_over():
                    print(f"the time limit is over before {name} {dtype}", flush=True)
                    break
                ours, cell = self.measure(shape, dtype)
                peers = [peer.record(ours) for peer in cell.peers]
                self.records += [ours, *peers]
                print_cell(ours, peers, cell.failed)
                for peer in peers:
                    ratios.setdefault(peer["peer"], {})[name] = (peer["median_us"]
                                                                 / ours["median_us"])
                self.save()
                del cell
                self.place.recover("the last cell", "its memory cannot be given back")
            print_means(dtype, ratios)
        self.ours.finish()

    def save(self):
        if self.arguments.json:
            with open(self.arguments.json, "w", encoding="utf-8") as file:
                json.dump(self.records, file, indent=1)


def print_cell(ours, peers, failed):
    print(f"{ours['shape']} {ours['dtype']}: floor {ours['floor_us']:.1f}, read "
          f"{ours['read_us']:.1f}, ours {ours['median_us']:.1f} us "
          f"({ours['of_read']:.2f} of read), error {ours['error_rel']:.2e}")
    for peer in sorted(peers, key=lambda record: record["median_us"]):
        print(f"    {peer['peer']:14} {peer['median_us']:9.1f} us ({peer['of_read']:.2f} of read), "
              f"{peer['median_us'] / ours['median_us']:5.2f} x ours, error {peer['error_rel']:.2e}")
    for name, reason in failed.items():
        print(f"    {name:14} failed: {reason}")
    print(end="", flush=True)


def print_means(dtype, ratios):
    """How much longer each peer takes, and the best of each cell."""
    best = {}
    for cells in ratios.values():
        for name, ratio in cells.items():
            best[name] = min(best.get(name, ratio), ratio)
    for peer, cells in [*ratios.items(), ("best of each", best)]:
        if cells:
            values = cells.values()
            print(f"{dtype}: {peer:14} {statistics.geometric_mean(values):5.2f} x ours "
                  f"(geometric mean of {len(cells)}), {min(values):.2f} to {max(values):.2f}",
                  flush=True)


@torch.inference_mode()
def main():
    arguments = read_arguments()
    place = OnCpu() if arguments.device == "cpu" else OnGpu(int(arguments.device))
    print(f"PyTorch {torch.__version__}, {place.name}; medians, x ours = the peer's time divided "
          "by ours", flush=True)
    Session(arguments, place).run()


if __name__ == "__main__":
    main()
