#!/usr/bin/env python3
"""PyTorch's two best forms of shared-prefix decode attention on a CPU, in turns with ours.

    python3 -m venv VENV && VENV/bin/pip install torch numpy
    VENV/bin/python tests/bench/peers/torch_cpu.py BUILD/tests/bench/relayattn-bench \\
        [--shapes cpu] [--dtype bf16 f32] [--threads N] [--isa NAME] [--rounds 7] [--json FILE]

  flat   scaled_dot_product_attention of every sequence over its own copy of the prefix, the G query
         heads of a KV head given as rows (1.3 to 10 times faster than enable_gqa)
  relay  flash attention over the prefix once, all sequences' rows together, flash attention over
         the tails, and the two merged by their log-sum-exps

Both take turns with ours: a round is one cold sample of each; before every sample a buffer of
several times the last-level cache is read. Times are minima over the clean samples, those whose
threads waited for a core for less than 3 % of the time. PyTorch is not charged for appending the
new tokens; ours is.
"""
import argparse
import json
import math
import os
import pathlib
import statistics
import subprocess
import tempfile
import time

import torch

from shapes import known_shapes

DTYPES = {"f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16}
MOST_WAITING = 0.03
flash = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu


def read_arguments():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", help="the relayattn-bench that was built")
    parser.add_argument("--shapes", nargs="+", default=["cpu"],
                        help="groups or names that relayattn-bench --list prints (default cpu)")
    parser.add_argument("--dtype", nargs="+", default=["bf16", "f32"], choices=DTYPES)
    parser.add_argument("--threads", type=int, default=0, help="0 = all")
    parser.add_argument("--isa", help="instruction set of ours, as relayattn-bench --isa")
    parser.add_argument("--rounds", type=int, default=7, help="clean samples of ours, at least")
    parser.add_argument("--json", help="write all records to this file")
    arguments = parser.parse_args()
    arguments.threads = arguments.threads or len(os.sched_getaffinity(0))
    return arguments


class Problem:
    """One step's inputs, N(0,1), laid out as each form likes them best."""

    def __init__(self, shape, dtype):
        rows, q_heads, self.kv_heads, self.dim, prefix, tail = shape
        self.rows, self.group = rows, q_heads // self.kv_heads
        torch.manual_seed(42)

        def normal(*size):
            return torch.randn(*size).to(dtype)

        self.q = normal(rows, q_heads, self.dim)
        self.prefix = [normal(1, self.kv_heads, prefix, self.dim) for _ in "kv"]
        self.tails = [normal(rows, self.kv_heads, tail, self.dim) for _ in "kv"]
        self.copies = [torch.cat([p.expand(rows, -1, -1, -1), t], dim=2)
                       for p, t in zip(self.prefix, self.tails)]

    def q_rows(self):
        return self.q.view(self.rows, self.kv_heads, self.group, self.dim)

    def flat(self):
        return torch.nn.functional.scaled_dot_product_attention(self.q_rows(), *self.copies)

    def relay(self):
        q = self.q_rows()
        packed = q.transpose(0, 1).reshape(1, self.kv_heads, self.rows * self.group, self.dim)
        prefix_out, prefix_lse = flash(packed, *self.prefix)
        tail_out, tail_lse = flash(q, *self.tails)

        def unpacked(x, *last):
            return x.reshape(self.kv_heads, self.rows, self.group, *last).transpose(0, 1)

        weight = torch.sigmoid(unpacked(prefix_lse) - tail_lse).unsqueeze(-1)
        prefix_out = unpacked(prefix_out, self.dim)
        return torch.lerp(tail_out.float(), prefix_out.float(), weight).to(q.dtype)

    def error(self, out):
        """||out - exact|| / ||exact|| of the first and the last sequence."""
        off = size = 0.0
        for row in {0, self.rows - 1}:
            q, k, v = (x[row].double() for x in [self.q_rows(), *self.copies])
            exact = torch.softmax(q @ k.transpose(1, 2) / math.sqrt(self.dim), dim=-1) @ v
            off += (out[row].double() - exact).square().sum().item()
            size += exact.square().sum().item()
        return math.sqrt(off / size)


def time_waited():
    """Seconds that this process's threads have waited for a core."""
    waited = 0
    for task in pathlib.Path("/proc/self/task").iterdir():
        try:
            waited += int((task / "schedstat").read_text(encoding="ascii").split()[1])
        except (OSError, IndexError):
            pass
    return waited * 1e-9


class Form:
    def __init__(self, name, call):
        self.name, self.call = name, call
        self.clean, self.disturbed = [], []

    def sample(self, flush):
        flush()
        waited, start = time_waited(), time.perf_counter()
        self.call()
        taken = time.perf_counter() - start
        is_clean = time_waited() - waited <= MOST_WAITING * taken
        (self.clean if is_clean else self.disturbed).append(taken * 1e6)

    def record(self, ours, error):
        times = self.clean or self.disturbed
        same = ("shape batch q_heads kv_heads head_dim prefix_tokens tail_tokens q_len device "
                "dtype threads cold floor_us").split()
        return {**{key: ours[key] for key in same}, "peer": self.name,
                "isa": torch.backends.cpu.get_cpu_capability(),
                "min_us": min(times), "median_us": statistics.median(times),
                "of_floor": ours["floor_us"] / min(times), "samples_clean": len(self.clean),
                "samples_taken": len(self.clean) + len(self.disturbed), "error_rel": error}


class Ours:
    """relayattn-bench, which waits for a line before each of its rounds."""

    def __init__(self, arguments, name, dtype, path):
        command = [arguments.program, "--shapes", name, "--dtype", dtype, "--check", "--paced",
                   "--repeat", str(arguments.rounds), "--threads", str(arguments.threads),
                   "--json", path]
        if arguments.isa:
            command += ["--isa", arguments.isa]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL, text=True)
        self.machine = json.loads(self.process.stdout.readline())

    def round(self):
        """False when the program had no round left to take."""
        try:
            self.process.stdin.write("go\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            return False
        return any(line == "round\n" for line in iter(self.process.stdout.readline, ""))

    def finish(self):
        self.process.communicate()
        if self.process.returncode != 0:
            raise SystemExit(f"{self.process.args[0]} failed with {self.process.returncode}")


def run_cell(arguments, name, shape, dtype):
    """The machine's record, ours, and one of each form of PyTorch's."""
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "ours.json")
        ours = Ours(arguments, name, dtype, path)
        problem = Problem(shape, DTYPES[dtype])
        forms = [Form("torch relay", problem.relay), Form("torch flat", problem.flat)]
        errors = [problem.error(form.call()) for form in forms]
        flush_buffer = torch.ones(ours.machine["flush_bytes"] // 4)
        while ours.round():
            for form in forms:
                form.sample(flush_buffer.sum)
        ours.finish()
        with open(path, encoding="utf-8") as file:
            machine, record = json.load(file)
    return machine, [record] + [form.record(record, error) for form, error in zip(forms, errors)]


def print_cell(records):
    ours, *peers = records
    best = min(peer["min_us"] for peer in peers)
    texts = [f"{r['min_us']:9.1f} ({r['of_floor']:.2f})" for r in records]
    errors = " ".join(f"{r['error_rel']:.1e}" for r in records)
    print(f"{ours['shape']:28} {ours['dtype']:5} {ours['floor_us']:9.1f} {' '.join(texts)} "
          f"{best / ours['min_us']:6.2f}   {errors}", flush=True)
    return best / ours["min_us"]


@torch.inference_mode()
def main():
    arguments = read_arguments()
    torch.set_num_threads(arguments.threads)
    shapes = known_shapes(arguments.program, arguments.shapes)
    all_records = []
    print(f"PyTorch {torch.__version__} ({torch.backends.cpu.get_cpu_capability()}), "
          f"{arguments.threads} threads; minima in us (fraction of the floor)\n"
          f"{'shape':28} {'dtype':5} {'floor':>9} {'ours':>16} {'torch relay':>16} "
          f"{'torch flat':>16} ahead    errors in that order")
    for dtype in arguments.dtype:
        ahead = []
        for name, shape in shapes.items():
            machine, records = run_cell(arguments, name, shape, dtype)
            all_records += records if all_records else [machine, *records]
            ahead.append(print_cell(records))
        print(f"{'geometric mean':28} {dtype:5} {statistics.geometric_mean(ahead):68.2f}")
    if arguments.json:
        with open(arguments.json, "w", encoding="utf-8") as file:
            json.dump(all_records, file, indent=1)


if __name__ == "__main__":
    main()
