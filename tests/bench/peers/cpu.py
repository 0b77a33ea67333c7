"""What the scripts of the CPU peers have in common: inputs, cold samples in turns, the report."""
import argparse
import concurrent.futures
import ctypes
import json
import math
import os
import pathlib
import statistics
import time

import numpy as np
import torch

from ours import Ours, known_shapes

DTYPES = {"f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16}
MOST_WAITING = 0.03
# A form that takes so many times as long as another one is left out after its first clean sample.
HOPELESS = 2
# OpenMP's threads spin for some milliseconds when their work is done.
SECONDS_TO_SLEEP = 0.04


def read_arguments(text, dtypes, more=lambda parser: None):
    parser = argparse.ArgumentParser(description=text,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", help="the relayattn-bench that was built")
    parser.add_argument("--shapes", nargs="+", default=["cpu"],
                        help="groups or names that relayattn-bench --list prints (default cpu)")
    parser.add_argument("--dtype", nargs="+", default=dtypes, choices=DTYPES)
    parser.add_argument("--threads", type=int, default=0, help="0 = all")
    parser.add_argument("--isa", nargs="+", default=[""],
                        help="instruction sets of ours, as relayattn-bench --isa; several take "
                             "turns (default: ours chooses)")
    parser.add_argument("--rounds", type=int, default=7, help="clean samples of ours, at least")
    parser.add_argument("--time-limit", type=float, default=math.inf, metavar="SECONDS",
                        help="begin no cell after so long, and end the one under way")
    parser.add_argument("--json", help="write all records to this file")
    more(parser)
    arguments = parser.parse_args()
    arguments.threads = arguments.threads or len(os.sched_getaffinity(0))
    if not os.access(arguments.program, os.X_OK):
        parser.error(f"program is {arguments.program}; it must be the file of relayattn-bench")
    for name in ("threads", "rounds", "time_limit"):
        if getattr(arguments, name) <= 0:
            parser.error(f"--{name.replace('_', '-')} is {getattr(arguments, name)}; it must be "
                         "more than 0")
    return arguments


class Problem:
    """One step's inputs, N(0,1), and private copies of the prefix for those who cannot share."""

    def __init__(self, shape, dtype):
        self.rows, self.q_heads, self.kv_heads, self.dim, levels, self.tail_len = shape
        self.prefix_len = levels[0][1]
        self.group = self.q_heads // self.kv_heads
        torch.manual_seed(42)

        def normal(*size):
            return torch.randn(*size).to(dtype)

        self.q = normal(self.rows, self.q_heads, self.dim)
        self.prefix = [normal(1, self.kv_heads, self.prefix_len, self.dim) for _ in "kv"]
        self.tails = [normal(self.rows, self.kv_heads, self.tail_len, self.dim) for _ in "kv"]

    def q_rows(self):
        return self.q.view(self.rows, self.kv_heads, self.group, self.dim)

    def packed_q(self):
        """[KV head, row and query head of the group, dim]: all rows that one K serves."""
        rows = self.q_rows().transpose(0, 1)
        return rows.reshape(self.kv_heads, self.rows * self.group, self.dim)

    def copies(self):
        return [torch.cat([p.expand(self.rows, -1, -1, -1), t], dim=2)
                for p, t in zip(self.prefix, self.tails)]

    def error(self, out):
        """||out - exact|| / ||exact|| of the first and the last sequence."""
        off = size = 0.0
        for row in {0, self.rows - 1}:
            q = self.q_rows()[row].double()
            k, v = (torch.cat([p[0], t[row]], dim=1).double()
                    for p, t in zip(self.prefix, self.tails))
            exact = torch.softmax(q @ k.transpose(1, 2) / math.sqrt(self.dim), dim=-1) @ v
            got = out.reshape(self.q_rows().shape)[row].double()
            off += (got - exact).square().sum().item()
            size += exact.square().sum().item()
        return math.sqrt(off / size)


class Form:
    """A peer's way to compute a problem."""
    name = ""

    def memory(self):
        """What it reads: tensors, or pairs of an address and bytes."""
        raise NotImplementedError

    def wake(self):
        """Has its threads ready, as they are in the middle of a model."""

    def call(self):
        raise NotImplementedError

    def sleep(self):
        """Has its threads leave the cores to others."""

    def result(self):
        """What a call computed, shaped as any [B, Hq, D]."""
        raise NotImplementedError


class Cold:
    """Makes samples as cold as ours: drops what they read, then reads a large buffer."""

    def __init__(self, program, threads, flush_bytes):
        library = pathlib.Path(program).resolve().parent / "librelayattn-bench-flush.so"
        if not library.exists():
            raise SystemExit(f"{library} is missing; it is built with relayattn-bench")
        self.drop = ctypes.CDLL(library).relayattn_bench_flush
        self.drop.argtypes = [ctypes.c_void_p, ctypes.c_int64]
        # NumPy's sums, in threads that do not spin afterwards.
        self.pool = concurrent.futures.ThreadPoolExecutor(threads)
        buffer = np.ones(flush_bytes // 8)
        self.parts = np.array_split(buffer, 4 * threads)

    def __call__(self, memory):
        for part in memory:
            address, size = ((part.data_ptr(), part.nbytes) if isinstance(part, torch.Tensor)
                             else part)
            self.drop(address, size)
        list(self.pool.map(np.sum, self.parts))


def time_waited():
    """Seconds that this process's threads have waited for a core."""
    waited = 0
    for task in pathlib.Path("/proc/self/task").iterdir():
        try:
            waited += int((task / "schedstat").read_text(encoding="ascii").split()[1])
        except (OSError, IndexError):
            pass
    return waited * 1e-9


class Peer:
    """A form under measurement."""

    def __init__(self, form, problem):
        self.form = form
        form.wake()
        form.call()
        form.sleep()
        self.error = problem.error(form.result())
        self.clean, self.disturbed = [], []

    def times(self):
        return self.clean or self.disturbed

    def sample(self, flush):
        flush(self.form.memory())
        self.form.wake()
        waited, start = time_waited(), time.perf_counter()
        self.form.call()
        taken = time.perf_counter() - start
        is_clean = time_waited() - waited <= MOST_WAITING * taken
        self.form.sleep()
        (self.clean if is_clean else self.disturbed).append(taken * 1e6)

    def record(self, ours, isa):
        same = ("shape batch q_heads kv_heads head_dim prefix_tokens tail_tokens q_len device "
                "dtype threads cold floor_us").split()
        best = min(self.times())
        return {**{key: ours[key] for key in same}, "peer": self.form.name, "isa": isa,
                "min_us": best, "median_us": statistics.median(self.times()),
                "of_floor": ours["floor_us"] / best, "samples_clean": len(self.clean),
                "samples_taken": len(self.clean) + len(self.disturbed), "error_rel": self.error}


def is_hopeless(peer, peers):
    times = [time for other in peers for time in other.clean]
    return bool(peer.clean) and min(peer.clean) >= HOPELESS * min(times)


class Session:
    """All cells of one run: each instruction set of ours, and the peer's forms, in turns."""

    def __init__(self, arguments, make_forms, peer_isa):
        self.arguments, self.make_forms, self.peer_isa = arguments, make_forms, peer_isa
        self.end = time.monotonic() + arguments.time_limit
        shapes = known_shapes(arguments.program, arguments.shapes)
        self.shapes = {name: shape for name, shape in shapes.items()
                       if len(shape.levels) == 1 and shape.levels[0][0] == 1}
        if len(self.shapes) < len(shapes):
            print(f"without {' '.join(shapes.keys() - self.shapes)}: these scripts know only one "
                  "prefix")
        options = ["--shapes", *self.shapes, "--dtype", *arguments.dtype, "--repeat",
                   str(arguments.rounds), "--threads", str(arguments.threads)]
        self.ours = {isa: Ours(arguments.program, options + (["--isa", isa] if isa else []))
                     for isa in arguments.isa}
        machine = next(iter(self.ours.values())).machine
        self.flush = Cold(arguments.program, arguments.threads, machine["flush_bytes"])
        self.records = [machine]

    def is_over(self):
        return time.monotonic() > self.end

    def measure(self, shape, dtype):
        """The records of ours, and those of the peer."""
        for ours in self.ours.values():
            ours.start_cell()
        problem = Problem(shape, DTYPES[dtype])
        peers = [Peer(form, problem) for form in self.make_forms(problem, dtype)]
        racing, done = set(self.ours), False
        while not done:
            racing -= {isa for isa in list(racing) if self.ours[isa].round()}
            done = not racing or self.is_over()
            for peer in peers:
                if not is_hopeless(peer, peers):
                    peer.sample(self.flush)
            time.sleep(SECONDS_TO_SLEEP)
        ours = [ours.record() for ours in self.ours.values()]
        hardest = min(ours, key=lambda record: record["floor_us"])
        return ours, [peer.record(hardest, self.peer_isa) for peer in peers]

    def run(self):
        width = max(map(len, self.shapes))
        for dtype in self.arguments.dtype:
            ahead = []
            for name, shape in self.shapes.items():
                if self.is_over():
                    print(f"the time limit is over before {name} {dtype}", flush=True)
                    break
                ours, peers = self.measure(shape, dtype)
                self.records += ours + peers
                ahead.append(print_cell(width, ours, peers))
            for isa, ratios in zip(self.arguments.isa, zip(*ahead)):
                print(f"{dtype}: ours{' ' + isa if isa else ''} is "
                      f"{statistics.geometric_mean(ratios):.2f} times as fast as the best form "
                      f"(geometric mean of {len(ratios)}), {min(ratios):.2f} at least", flush=True)
        for ours in self.ours.values():
            ours.finish()
        if self.arguments.json:
            with open(self.arguments.json, "w", encoding="utf-8") as file:
                json.dump(self.records, file, indent=1)


def print_cell(width, ours, peers):
    """Minima; how far ahead of the best form each of ours is."""
    best = min(peer["min_us"] for peer in peers)
    print(f"{ours[0]['shape']:{width}} {ours[0]['dtype']}")
    for record in ours + peers:
        name = record.get("peer") or f"ours {record['isa']}"
        ahead = "" if "peer" in record else f"{best / record['min_us']:.2f} times as fast"
        print(f"    {name:20} {record['min_us']:10.1f} us, {record['of_floor']:.2f} of "
              f"{record['floor_us']:8.1f}, {ahead:18} error {record['error_rel']:.1e}, "
              f"{record['samples_clean']}/{record['samples_taken']} clean", flush=True)
    return [best / record["min_us"] for record in ours]
