#!/usr/bin/env python3
"""ONNX Runtime's GroupQueryAttention on a CPU, in turns with ours.

    python3 -m venv VENV && VENV/bin/pip install torch numpy onnx onnxruntime
    VENV/bin/python tests/bench/peers/ort_cpu.py BUILD/tests/bench/relayattn-bench \\
        [--shapes cpu] [--dtype f32] [--threads N] [--isa NAME] [--rounds 7] [--json FILE]

The operator has no shared form: every sequence reads its own copy of the prefix. Its cache is
bound as past and as present, so that a call appends the new token and copies nothing else. It
takes f32 and f16 on a CPU. Rounds, cold caches and clean samples are as in torch_cpu.py.
"""
import json
import os
import statistics
import sys
import tempfile

import numpy as np
import onnx
import onnxruntime
import torch

import torch_cpu
from shapes import known_shapes

TYPES = {"f32": (np.float32, onnx.TensorProto.FLOAT), "f16": (np.float16, onnx.TensorProto.FLOAT16)}
CACHES = [("past_key", "present_key"), ("past_value", "present_value")]


def model_of(shape, dtype):
    """One GroupQueryAttention node."""
    rows, q_heads, kv_heads, dim, prefix, tail = shape
    kind, cache = TYPES[dtype][1], [rows, kv_heads, prefix + tail, dim]
    info = onnx.helper.make_tensor_value_info
    inputs = [info("query", kind, [rows, 1, q_heads * dim]),
              info("key", kind, [rows, 1, kv_heads * dim]),
              info("value", kind, [rows, 1, kv_heads * dim]),
              *[info(past, kind, cache) for past, _ in CACHES],
              info("seqlens_k", onnx.TensorProto.INT32, [rows]),
              info("total_sequence_length", onnx.TensorProto.INT32, [1])]
    outputs = [info("output", kind, [rows, 1, q_heads * dim]),
               *[info(present, kind, cache) for _, present in CACHES]]
    node = onnx.helper.make_node("GroupQueryAttention", [i.name for i in inputs],
                                 [o.name for o in outputs], domain="com.microsoft",
                                 num_heads=q_heads, kv_num_heads=kv_heads)
    graph = onnx.helper.make_graph([node], "attention", inputs, outputs)
    opsets = [onnx.helper.make_opsetid("", 17), onnx.helper.make_opsetid("com.microsoft", 1)]
    model = onnx.helper.make_model(graph, opset_imports=opsets)
    model.ir_version = 8
    return model.SerializeToString()


class Attention:
    """A bound session on the inputs of a torch_cpu.Problem, of which the last token is new."""

    def __init__(self, problem, shape, dtype, threads):
        rows, self.length = shape[0], shape[4] + shape[5]
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self.session = onnxruntime.InferenceSession(model_of(shape, dtype), options,
                                                    providers=["CPUExecutionProvider"])
        self.binding = self.session.io_binding()
        values = {"query": problem.q.reshape(rows, 1, -1),
                  "key": problem.copies[0][:, :, -1].reshape(rows, 1, -1),
                  "value": problem.copies[1][:, :, -1].reshape(rows, 1, -1),
                  "past_key": problem.copies[0], "past_value": problem.copies[1],
                  "seqlens_k": torch.full((rows,), self.length - 1, dtype=torch.int32),
                  "total_sequence_length": torch.tensor([self.length], dtype=torch.int32)}
        self.values = {name: onnxruntime.OrtValue.ortvalue_from_numpy(x.contiguous().numpy())
                       for name, x in values.items()}
        for name, value in self.values.items():
            self.binding.bind_ortvalue_input(name, value)
        for past, present in CACHES:
            self.binding.bind_ortvalue_output(present, self.values[past])
        self.out = np.zeros(problem.q.reshape(rows, 1, -1).shape, TYPES[dtype][0])
        self.bound_out = onnxruntime.OrtValue.ortvalue_from_numpy(self.out)
        self.binding.bind_ortvalue_output("output", self.bound_out)

    def __call__(self):
        self.session.run_with_iobinding(self.binding)

    def result(self, like):
        return torch.from_numpy(self.bound_out.numpy()).reshape(like.shape)


def run_cell(arguments, name, shape, dtype):
    """The machine's record, ours, and ONNX Runtime's."""
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "ours.json")
        ours = torch_cpu.Ours(arguments, name, dtype, path)
        problem = torch_cpu.Problem(shape, torch_cpu.DTYPES[dtype])
        attention = Attention(problem, shape, dtype, arguments.threads)
        attention()
        error = problem.error(attention.result(problem.q_rows()))
        form = torch_cpu.Form("ort", attention)
        flush_buffer = torch.ones(ours.machine["flush_bytes"] // 4)
        while ours.round():
            form.sample(flush_buffer.sum)
        ours.finish()
        with open(path, encoding="utf-8") as file:
            machine, record = json.load(file)
    return machine, [record, {**form.record(record, error), "isa": "own choice"}]


@torch.inference_mode()
def main():
    if not any(word.startswith("--dtype") for word in sys.argv):
        sys.argv += ["--dtype", "f32"]
    torch_cpu.__doc__ = __doc__  # of --help
    arguments = torch_cpu.read_arguments()
    if "bf16" in arguments.dtype:
        raise SystemExit("--dtype: ONNX Runtime's GroupQueryAttention takes f32 and f16 on a CPU")
    torch.set_num_threads(arguments.threads)
    all_records = []
    print(f"ONNX Runtime {onnxruntime.__version__}, {arguments.threads} threads; minima in us "
          f"(fraction of the floor)\n{'shape':28} {'dtype':5} {'floor':>9} {'ours':>16} "
          f"{'ort':>16} ahead    errors in that order")
    for dtype in arguments.dtype:
        ahead = []
        for name, shape in known_shapes(arguments.program, arguments.shapes).items():
            machine, records = run_cell(arguments, name, shape, dtype)
            all_records += records if all_records else [machine, *records]
            ahead.append(torch_cpu.print_cell(records))
        print(f"{'geometric mean':28} {dtype:5} {statistics.geometric_mean(ahead):51.2f}")
    if arguments.json:
        with open(arguments.json, "w", encoding="utf-8") as file:
            json.dump(all_records, file, indent=1)


if __name__ == "__main__":
    main()
