#!/usr/bin/env python3
"""ggml's attention on a CPU, the part of llama.cpp that computes it, in turns with ours.

    python3 -m venv VENV && VENV/bin/pip install torch numpy
    VENV/bin/python tests/bench/peers/ggml_cpu.py BUILD/tests/bench/relayattn-bench --prefix DIR \\
        [--shapes cpu] [--dtype f16] [--threads N] [--isa NAME...] [--rounds 7]
        [--time-limit SECONDS] [--json FILE]

DIR, or the variable GGML_PREFIX, is where ggml was installed as shared libraries: DIR/lib or
DIR/lib64 holds libggml-base.so and libggml-cpu.so. Forms, of which the best counts:

  per request  flash attention of every sequence over its own copy of the prefix
  packed       flash attention over one K and V of all sequences, the query heads of a group given
               as rows, and a mask that hides the others' tokens: what llama.cpp's unified cache
               does, but for the rows: those let ggml use its tiled kernel and read a K once a group
  no FA        the same as two products with a softmax between them, V stored transposed

K and V lie head by head (token by token, as in llama.cpp, is slower). q is float32, as ggml wants
it, and so is its result. Rounds, cold caches and clean samples are as in torch_cpu.py.
"""
import ctypes
import math
import os
import pathlib

import torch

import cpu

TYPES = {"f32": 0, "f16": 1, "bf16": 30}  # enum ggml_type
TORCH_TYPES = {number: cpu.DTYPES[name] for name, number in TYPES.items()}


class InitParams(ctypes.Structure):
    _fields_ = [("mem_size", ctypes.c_size_t), ("mem_buffer", ctypes.c_void_p),
                ("no_alloc", ctypes.c_bool)]


POINTER, INT, LONG, FLOAT, SIZE = (ctypes.c_void_p, ctypes.c_int, ctypes.c_int64, ctypes.c_float,
                                   ctypes.c_size_t)
BASE_FUNCTIONS = {
    "ggml_version": (ctypes.c_char_p, []),
    "ggml_init": (POINTER, [InitParams]), "ggml_free": (None, [POINTER]),
    "ggml_tensor_overhead": (SIZE, []), "ggml_graph_overhead": (SIZE, []),
    "ggml_new_tensor_4d": (POINTER, [POINTER, INT, LONG, LONG, LONG, LONG]),
    "ggml_get_data": (POINTER, [POINTER]),
    "ggml_flash_attn_ext": (POINTER, [POINTER] * 5 + [FLOAT] * 3),
    "ggml_mul_mat": (POINTER, [POINTER] * 3),
    "ggml_soft_max_ext": (POINTER, [POINTER] * 3 + [FLOAT] * 2),
    "ggml_new_graph": (POINTER, [POINTER]),
    "ggml_build_forward_expand": (None, [POINTER] * 2),
    "ggml_backend_graph_compute": (INT, [POINTER] * 2),
    "ggml_threadpool_params_init": (None, [POINTER, INT])}
CPU_FUNCTIONS = {
    "ggml_backend_cpu_init": (POINTER, []),
    "ggml_backend_cpu_set_n_threads": (None, [POINTER, INT]),
    "ggml_backend_cpu_set_threadpool": (None, [POINTER] * 2),
    "ggml_threadpool_new": (POINTER, [POINTER]),
    "ggml_threadpool_pause": (None, [POINTER]), "ggml_threadpool_resume": (None, [POINTER])}
# More than any struct ggml_threadpool_params has taken.
THREADPOOL_PARAMS_BYTES = 4096


class Ggml:
    """The functions of an installed ggml, and a backend with its threads."""

    def __init__(self, prefix, threads):
        for name, functions in (("libggml-base.so", BASE_FUNCTIONS),
                                ("libggml-cpu.so", CPU_FUNCTIONS)):
            library = load(prefix, name)
            for function, (result, arguments) in functions.items():
                loaded = getattr(library, function)
                loaded.restype, loaded.argtypes = result, arguments
                setattr(self, function.removeprefix("ggml_"), loaded)
        self.backend = self.backend_cpu_init()
        self.backend_cpu_set_n_threads(self.backend, threads)
        parameters = ctypes.create_string_buffer(THREADPOOL_PARAMS_BYTES)
        self.threadpool_params_init(parameters, threads)
        self.pool = self.threadpool_new(parameters)
        self.backend_cpu_set_threadpool(self.backend, self.pool)


def load(prefix, name):
    folders = [pathlib.Path(prefix) / folder for folder in ("lib", "lib64")]
    for folder in folders:
        if (folder / name).exists():
            return ctypes.CDLL(folder / name, ctypes.RTLD_GLOBAL)
    raise SystemExit(f"--prefix is \"{prefix}\"; {name} is in none of "
                     f"{' and '.join(map(str, folders))}")


class Graph:
    """Tensors in one piece of memory and the operations on them."""

    def __init__(self, ggml, data_bytes):
        self.ggml = ggml
        few = 16
        size = data_bytes + few * (ggml.tensor_overhead() + 64) + ggml.graph_overhead()
        self.context = ggml.init(InitParams(size, None, False))
        self.graph = ggml.new_graph(self.context)
        self.sources = []

    def tensor(self, values, kind):
        """A copy; ggml names dimensions from the innermost."""
        sizes = [1] * (4 - values.dim()) + list(values.shape)
        tensor = self.ggml.new_tensor_4d(self.context, kind, *reversed(sizes))
        values = values.to(TORCH_TYPES[kind]).contiguous()
        address = self.ggml.get_data(tensor)
        ctypes.memmove(address, values.data_ptr(), values.nbytes)
        self.sources.append((address, values.nbytes))
        return tensor

    def finish(self, out):
        self.ggml.build_forward_expand(self.graph, out)

    def compute(self):
        status = self.ggml.backend_graph_compute(self.ggml.backend, self.graph)
        if status != 0:
            raise RuntimeError(f"ggml_backend_graph_compute answers {status}")

    def read(self, tensor, count):
        floats = (ctypes.c_float * count).from_address(self.ggml.get_data(tensor))
        return torch.frombuffer(floats, dtype=torch.float32)

    def __del__(self):
        self.ggml.free(self.context)


class GgmlForm(cpu.Form):
    def __init__(self, ggml, problem, kind, data_bytes):
        self.ggml, self.problem, self.kind = ggml, problem, kind
        self.graph = Graph(ggml, data_bytes)
        self.out = self.build(self.graph)
        self.graph.finish(self.out)
        self.waking = Graph(ggml, 1 << 16)
        q = self.waking.tensor(torch.ones(16, 1, 32), TYPES["f32"])
        self.waking.finish(ggml.flash_attn_ext(self.waking.context, q, q, q, None, 1, 0, 0))

    def build(self, graph):
        raise NotImplementedError

    def memory(self):
        return self.graph.sources

    def wake(self):
        self.ggml.threadpool_resume(self.ggml.pool)
        self.waking.compute()

    def call(self):
        self.graph.compute()

    def sleep(self):
        self.ggml.threadpool_pause(self.ggml.pool)

    def result(self):
        return self.graph.read(self.out, self.problem.q.numel())

    def scale(self):
        return 1 / math.sqrt(self.problem.dim)


class PerRequest(GgmlForm):
    name = "ggml per request"

    def build(self, graph):
        p = self.problem
        q = graph.tensor(p.q.view(p.rows, p.q_heads, 1, p.dim), TYPES["f32"])
        k, v = (graph.tensor(x, self.kind) for x in p.copies())
        return self.ggml.flash_attn_ext(graph.context, q, k, v, None, self.scale(), 0, 0)


class Unified(GgmlForm):
    """One K and one V of all tokens, and a mask."""

    def unified(self):
        p = self.problem
        return [torch.cat([prefix[0], tails.transpose(0, 1).flatten(1, 2)], dim=1)
                for prefix, tails in zip(p.prefix, p.tails)]

    def mask(self):
        """[row, token], its rows padded as older versions want them."""
        p, padded = self.problem, 64
        rows = p.rows * p.group
        hidden = torch.full(((rows + padded - 1) // padded * padded,
                             p.prefix_len + p.rows * p.tail_len), -math.inf)
        hidden[:rows, :p.prefix_len] = 0
        tails = hidden[:rows, p.prefix_len:].view(p.rows, p.group, p.rows, p.tail_len)
        tails[torch.arange(p.rows), :, torch.arange(p.rows)] = 0
        return hidden


class Packed(Unified):
    name = "ggml packed"

    def build(self, graph):
        q = graph.tensor(self.problem.packed_q(), TYPES["f32"])
        k, v = (graph.tensor(x, self.kind) for x in self.unified())
        mask = graph.tensor(self.mask(), TYPES["f16"])
        return self.ggml.flash_attn_ext(graph.context, q, k, v, mask, self.scale(), 0, 0)

    def result(self):
        p = self.problem
        out = super().result().view(p.rows, p.group, p.kv_heads, p.dim)
        return out.transpose(1, 2)


class NoFlash(Unified):
    name = "ggml no FA"

    def build(self, graph):
        q = graph.tensor(self.problem.packed_q(), TYPES["f32"])
        k, v = self.unified()
        k, v = graph.tensor(k, self.kind), graph.tensor(v.transpose(1, 2), self.kind)
        mask = graph.tensor(self.mask(), TYPES["f16"])
        scores = self.ggml.mul_mat(graph.context, k, q)
        weights = self.ggml.soft_max_ext(graph.context, scores, mask, self.scale(), 0)
        return self.ggml.mul_mat(graph.context, v, weights)

    def result(self):
        p = self.problem
        return super().result().view(p.kv_heads, p.rows, p.group, p.dim).transpose(0, 1)


def forms(ggml, problem, dtype):
    p, kind = problem, TYPES[dtype]
    size = torch.empty((), dtype=cpu.DTYPES[dtype]).element_size()
    token, rows = 2 * p.kv_heads * p.dim * size, p.rows * p.group + 64
    tokens = p.prefix_len + p.rows * p.tail_len
    q_and_out = 2 * p.q.numel() * 4
    own = p.rows * (p.prefix_len + p.tail_len) * token + q_and_out
    shared = tokens * (token + 2 * rows) + q_and_out
    scores = 2 * 4 * tokens * p.rows * p.q_heads
    return [PerRequest(ggml, p, kind, own), Packed(ggml, p, kind, shared),
            NoFlash(ggml, p, kind, shared + scores)]


def add_prefix(parser):
    parser.add_argument("--prefix", default=os.environ.get("GGML_PREFIX"),
                        help="where ggml is installed (default: GGML_PREFIX)")


@torch.inference_mode()
def main():
    arguments = cpu.read_arguments(__doc__, ["f16"], add_prefix)
    if not arguments.prefix:
        raise SystemExit("--prefix is missing, and GGML_PREFIX is not set: where is ggml?")
    ggml = Ggml(arguments.prefix, arguments.threads)
    print(f"ggml {ggml.version().decode()}, {arguments.threads} threads", flush=True)
    cpu.Session(arguments, lambda problem, dtype: forms(ggml, problem, dtype),
                "own choice").run()


if __name__ == "__main__":
    main()
