#!/usr/bin/env python3
"""What others reach on this GPU for shared-prefix decode attention, in turns with ours.

    python tests/bench/peers/gpu.py BUILD/tests/bench/relayattn-bench \\
        [--shapes standard] [--dtype bf16] [--rounds 50] [--peers NAME...] [--json FILE]

Needs PyTorch with CUDA; what else is installed is used, what is not is said:

  torch cascade   flash attention over the prefix once, all sequences' rows together, flash
                  attention over the tails, and the two merged by their log-sum-exps
  torch cudnn     cuDNN's attention of every sequence over its own copy of the prefix
  fi cascade      FlashInfer's MultiLevelCascadeAttentionWrapper, forced to its fa2 backend, which
                  is faster than the one that it chooses on Hopper
  fi decode       FlashInfer's tensor-core decode over pages; the prefix's pages are shared
  fi xqa          FlashInfer's XQA decode over the same pages

A round is one replay of ours and of each peer, each of a captured CUDA graph, on a cold L2 (flushed
by reading). Medians; `of read` is the time of a kernel that only reads the same bytes, in ours,
divided by the time. A peer whose result is wrong, or that fails, is said so and left out. Peers are
not charged for appending the new tokens; ours is.
"""
import argparse
import json
import math
import os
import statistics
import subprocess
import tempfile

import torch

from shapes import known_shapes

DTYPES = {"f16": torch.float16, "bf16": torch.bfloat16}
PAGE = 64
MOST_ERROR = 1e-2
WARM_UP = 3


def read_arguments():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", help="the relayattn-bench that was built, with CUDA")
    parser.add_argument("--shapes", nargs="+", default=["standard"],
                        help="groups or names that relayattn-bench --list prints with numbers "
                             "(one prefix, equal tails)")
    parser.add_argument("--dtype", nargs="+", default=["bf16"], choices=DTYPES)
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--peers", nargs="+", choices=list(PEERS), default=list(PEERS))
    parser.add_argument("--device", type=int, default=0, help="the GPU's number")
    parser.add_argument("--json", help="write all records to this file")
    return parser.parse_args()


class Problem:
    """One step's inputs, N(0,1): the prefix and the tails apart, [heads, tokens, dim]."""

    def __init__(self, shape, dtype):
        self.rows, self.q_heads, self.kv_heads, self.dim, self.prefix_len, self.tail_len = shape
        self.group = self.q_heads // self.kv_heads
        torch.manual_seed(42)

        def normal(*size):
            return torch.randn(*size, device="cuda", dtype=dtype)

        self.q = normal(self.rows, self.q_heads, self.dim)
        self.prefix = [normal(1, self.kv_heads, self.prefix_len, self.dim) for _ in "kv"]
        self.tails = [normal(self.rows, self.kv_heads, self.tail_len, self.dim) for _ in "kv"]

    def q_rows(self):
        return self.q.view(self.rows, self.kv_heads, self.group, self.dim)

    def copies(self):
        needed = 2 * (self.prefix_len + self.tail_len) * self.rows * self.kv_heads * self.dim * 2
        free, _ = torch.cuda.mem_get_info()
        if needed > free // 2:
            raise RuntimeError(f"the copies of the prefix take {needed / 2**30:.0f} GiB")
        return [torch.cat([p.expand(self.rows, -1, -1, -1), t], dim=2)
                for p, t in zip(self.prefix, self.tails)]

    def pages(self):
        """[page, k or v, token, head, dim], and the pages of the prefix and of each tail."""
        if self.prefix_len % PAGE or self.tail_len % PAGE:
            raise RuntimeError(f"its pages of {PAGE} tokens are made for whole pages only")

        def paged(k, v):
            both = torch.stack([k, v], dim=1)  # [n, 2, heads, tokens, dim]
            count = both.shape[3] // PAGE
            cut = both.unflatten(3, (count, PAGE)).permute(0, 3, 1, 4, 2, 5)
            return cut.reshape(-1, 2, PAGE, self.kv_heads, self.dim)

        pages = torch.cat([paged(*self.prefix), paged(*self.tails)])
        numbers = torch.arange(pages.shape[0], dtype=torch.int32, device="cuda")
        shared = self.prefix_len // PAGE
        return pages, numbers[:shared], numbers[shared:].view(self.rows, -1)

    def error(self, out):
        """||out - exact|| / ||exact|| of the first and the last sequence."""
        off = size = 0.0
        for row in {0, self.rows - 1}:
            k, v = (torch.cat([p[0], t[row]], dim=1).double()
                    for p, t in zip(self.prefix, self.tails))
            q = self.q_rows()[row].double()
            exact = torch.softmax(q @ k.transpose(1, 2) / math.sqrt(self.dim), dim=-1) @ v
            got = out.view(self.rows, self.kv_heads, self.group, self.dim)[row].double()
            off += (got - exact).square().sum().item()
            size += exact.square().sum().item()
        return math.sqrt(off / size)


def torch_cascade(problem):
    flash = torch.ops.aten._scaled_dot_product_flash_attention
    rows, heads, group, dim = problem.rows, problem.kv_heads, problem.group, problem.dim

    def run():
        q = problem.q_rows()
        packed = q.transpose(0, 1).reshape(1, heads, rows * group, dim)
        prefix_out, prefix_lse = flash(packed, *problem.prefix)[:2]
        tail_out, tail_lse = flash(q, *problem.tails)[:2]
        prefix_lse = prefix_lse.view(heads, rows, group).transpose(0, 1)
        weight = torch.sigmoid(prefix_lse - tail_lse).unsqueeze(-1)
        prefix_out = prefix_out.view(heads, rows, group, dim).transpose(0, 1)
        return torch.lerp(tail_out.float(), prefix_out.float(), weight).to(q.dtype)

    return run


def torch_cudnn(problem):
    keys, values = problem.copies()
    cudnn = torch.nn.attention.SDPBackend.CUDNN_ATTENTION

    def run():
        with torch.nn.attention.sdpa_kernel(cudnn):
            return torch.nn.functional.scaled_dot_product_attention(
                problem.q_rows(), keys, values)

    return run


def workspace():
    return torch.zeros(256 << 20, dtype=torch.uint8, device="cuda")


def indptr(*values):
    return torch.tensor(values, dtype=torch.int32, device="cuda")


def steps(count, stride):
    return torch.arange(count + 1, dtype=torch.int32, device="cuda") * stride


def fi_cascade(problem):
    import flashinfer  # pylint: disable=import-outside-toplevel
    pages, shared, own = problem.pages()
    wrapper = flashinfer.MultiLevelCascadeAttentionWrapper(2, workspace(), "NHD")
    for level in wrapper._batch_prefill_wrappers:  # pylint: disable=protected-access
        level._backend = "fa2"  # pylint: disable=protected-access
    full = torch.full((problem.rows,), PAGE, dtype=torch.int32, device="cuda")
    wrapper.plan(
        [indptr(0, problem.rows), steps(problem.rows, 1)],
        [indptr(0, len(shared)), steps(problem.rows, own.shape[1])],
        [shared, own.flatten()], [full[:1], full], problem.q_heads, problem.kv_heads, problem.dim,
        PAGE, q_data_type=problem.q.dtype)
    return lambda: wrapper.run(problem.q, pages)


def page_lists(problem):
    pages, shared, own = problem.pages()
    return pages, torch.cat([shared.expand(problem.rows, -1), own], dim=1).contiguous()


def fi_decode(problem):
    import flashinfer  # pylint: disable=import-outside-toplevel
    pages, lists = page_lists(problem)
    wrapper = flashinfer.BatchDecodeWithPagedKVCacheWrapper(workspace(), "NHD",
                                                            use_tensor_cores=True)
    full = torch.full((problem.rows,), PAGE, dtype=torch.int32, device="cuda")
    wrapper.plan(steps(problem.rows, lists.shape[1]), lists.flatten(), full, problem.q_heads,
                 problem.kv_heads, problem.dim, PAGE, q_data_type=problem.q.dtype)
    return lambda: wrapper.run(problem.q, pages)


def fi_xqa(problem):
    from flashinfer.decode import (  # pylint: disable=import-outside-toplevel
        xqa_batch_decode_with_kv_cache)
    pages, lists = page_lists(problem)
    length = problem.prefix_len + problem.tail_len
    lengths = torch.full((problem.rows,), length, dtype=torch.int32, device="cuda")
    memory = workspace()
    return lambda: xqa_batch_decode_with_kv_cache(
        problem.q, (pages[:, 0], pages[:, 1]), memory, lists, lengths, length,
        bmm1_scale=1 / math.sqrt(problem.dim), bmm2_scale=1.0, kv_layout="NHD")


PEERS = {"torch cascade": torch_cascade, "torch cudnn": torch_cudnn, "fi cascade": fi_cascade,
         "fi decode": fi_decode, "fi xqa": fi_xqa}


class Form:
    """A peer's call on one problem, checked, warmed up and captured."""

    def __init__(self, name, make, problem):
        self.name, self.times = name, []
        call = make(problem)
        self.error = problem.error(call())
        if not self.error < MOST_ERROR:
            raise RuntimeError(f"its result is wrong: error {self.error:.1e}")
        stream = torch.cuda.Stream()
        with torch.cuda.stream(stream):
            for _ in range(WARM_UP):
                call()
        stream.synchronize()
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            self.out = call()
        self.ends = [torch.cuda.Event(enable_timing=True) for _ in range(2)]

    def sample(self, flush):
        flush()  # long enough that the rest is enqueued while it runs
        self.ends[0].record()
        self.graph.replay()
        self.ends[1].record()
        torch.cuda.synchronize()
        self.times.append(self.ends[0].elapsed_time(self.ends[1]) * 1e3)

    def record(self, ours):
        same = ("shape batch q_heads kv_heads head_dim prefix_tokens tail_tokens q_len device isa "
                "dtype threads cold graph floor_us read_us").split()
        median = statistics.median(self.times)
        return {**{key: ours[key] for key in same}, "peer": self.name, "median_us": median,
                "min_us": min(self.times), "samples_taken": len(self.times),
                "of_floor": ours["floor_us"] / median, "of_read": ours["read_us"] / median,
                "error_rel": self.error}


class Ours:
    """relayattn-bench, which waits for a line before each of its rounds."""

    def __init__(self, arguments, name, dtype, path):
        command = [arguments.program, "--device", f"cuda:{arguments.device}", "--graph", "--check",
                   "--paced", "--shapes", name, "--dtype", dtype, "--repeat",
                   str(arguments.rounds), "--json", path]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL, text=True)
        first = self.process.stdout.readline()
        if not first:
            raise SystemExit(f"{' '.join(command)} failed with {self.process.wait()}")
        self.machine = json.loads(first)

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


def make_forms(names, problem):
    forms, missing = [], {}
    for name in names:
        try:
            forms.append(Form(name, PEERS[name], problem))
        except Exception as reason:  # pylint: disable=broad-exception-caught
            missing[name] = (str(reason).strip() or type(reason).__name__).splitlines()[0]
            torch.cuda.synchronize()
    return forms, missing


def run_cell(arguments, name, shape, dtype):
    """The machine's record, ours and each peer's, and why others have none."""
    problem = Problem(shape, DTYPES[dtype])
    forms, missing = make_forms(arguments.peers, problem)
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "ours.json")
        ours = Ours(arguments, name, dtype, path)
        buffer = torch.ones(ours.machine["flush_bytes"] // 4, device="cuda")
        while ours.round():
            for form in forms:
                form.sample(buffer.sum)
        ours.finish()
        with open(path, encoding="utf-8") as file:
            machine, record = json.load(file)
    return machine, [record] + [form.record(record) for form in forms], missing


def print_cell(records, missing):
    ours, *peers = records
    print(f"{ours['shape']} {ours['dtype']}: floor {ours['floor_us']:.1f}, read "
          f"{ours['read_us']:.1f}, ours {ours['median_us']:.1f} us "
          f"({ours['of_read']:.2f} of read), error {ours['error_rel']:.2e}")
    for peer in sorted(peers, key=lambda record: record["median_us"]):
        print(f"    {peer['peer']:14} {peer['median_us']:9.1f} us ({peer['of_read']:.2f} of read), "
              f"{peer['median_us'] / ours['median_us']:5.2f} x ours, error {peer['error_rel']:.2e}")
    for name, reason in missing.items():
        print(f"    {name:14} not run: {reason}")
    return min((peer["median_us"] / ours["median_us"] for peer in peers), default=None)


@torch.inference_mode()
def main():
    arguments = read_arguments()
    if not torch.cuda.is_available():
        raise SystemExit("this PyTorch sees no GPU")
    torch.cuda.set_device(arguments.device)
    shapes = known_shapes(arguments.program, arguments.shapes)
    print(f"PyTorch {torch.__version__}, {torch.cuda.get_device_name()}; medians, x ours = the "
          "peer's time divided by ours", flush=True)
    all_records = []
    for dtype in arguments.dtype:
        ahead = []
        for name, shape in shapes.items():
            machine, records, missing = run_cell(arguments, name, shape, dtype)
            all_records += records if all_records else [machine, *records]
            ahead.append(print_cell(records, missing))
            torch.cuda.empty_cache()
        ahead = [ratio for ratio in ahead if ratio is not None]
        if ahead:
            print(f"{dtype}: {statistics.geometric_mean(ahead):.2f} times as fast as the best of "
                  f"these peers (geometric mean), {min(ahead):.2f} at least", flush=True)
    if arguments.json:
        with open(arguments.json, "w", encoding="utf-8") as file:
            json.dump(all_records, file, indent=1)


if __name__ == "__main__":
    main()
