#!/usr/bin/env python3
"""ONNX Runtime's GroupQueryAttention on a CPU, in turns with ours.

    python3 -m venv VENV && VENV/bin/pip install torch numpy onnx onnxruntime
    VENV/bin/python tests/bench/peers/ort_cpu.py BUILD/tests/bench/relayattn-bench \\
        [--shapes cpu] [--dtype f32] [--threads N] [--isa NAME...] [--rounds 7]
        [--time-limit SECONDS] [--json FILE]

The operator has no shared form: every sequence reads its own copy of the prefix. Its cache is
bound as past and as present, so that a call appends the new token and copies nothing else. It
takes f32 and f16 on a CPU. Rounds, cold caches and clean samples are as in torch_cpu.py.
"""
import numpy as np
import onnx
import onnxruntime
import torch

import cpu

TYPES = {"f32": (np.float32, onnx.TensorProto.FLOAT), "f16": (np.float16, onnx.TensorProto.FLOAT16)}
CACHES = [("past_key", "present_key"), ("past_value", "present_value")]


def model_of(shape, dtype):
    """One GroupQueryAttention node."""
    rows, q_heads, kv_heads, dim, length = shape
    kind, cache = TYPES[dtype][1], [rows, kv_heads, length, dim]
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


class Attention(cpu.Form):
    """A bound session, for which the problem's last tokens are the new ones."""
    name = "ort"

    def __init__(self, problem, dtype, threads):
        rows, length = problem.rows, problem.prefix_len + problem.tail_len
        shape = (rows, problem.q_heads, problem.kv_heads, problem.dim, length)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self.session = onnxruntime.InferenceSession(model_of(shape, dtype), options,
                                                    providers=["CPUExecutionProvider"])
        keys, values = problem.copies()
        inputs = {"query": problem.q.reshape(rows, 1, -1),
                  "key": keys[:, :, -1].reshape(rows, 1, -1),
                  "value": values[:, :, -1].reshape(rows, 1, -1),
                  "past_key": keys, "past_value": values,
                  "seqlens_k": torch.full((rows,), length - 1, dtype=torch.int32),
                  "total_sequence_length": torch.tensor([length], dtype=torch.int32)}
        self.tensors = {name: x.contiguous() for name, x in inputs.items()}
        self.values = {name: onnxruntime.OrtValue.ortvalue_from_numpy(x.numpy())
                       for name, x in self.tensors.items()}
        self.binding = self.session.io_binding()
        for name, value in self.values.items():
            self.binding.bind_ortvalue_input(name, value)
        for past, present in CACHES:
            self.binding.bind_ortvalue_output(present, self.values[past])
        self.out = onnxruntime.OrtValue.ortvalue_from_numpy(
            np.zeros((rows, 1, problem.q_heads * problem.dim), TYPES[dtype][0]))
        self.binding.bind_ortvalue_output("output", self.out)

    def memory(self):
        return [(self.values[name].data_ptr(), tensor.nbytes)
                for name, tensor in self.tensors.items()]

    def call(self):
        self.session.run_with_iobinding(self.binding)

    def result(self):
        return torch.from_numpy(self.out.numpy())


@torch.inference_mode()
def main():
    arguments = cpu.read_arguments(__doc__, ["f32"])
    if "bf16" in arguments.dtype:
        raise SystemExit("--dtype: ONNX Runtime's GroupQueryAttention takes f32 and f16 on a CPU")
    torch.set_num_threads(arguments.threads)
    print(f"ONNX Runtime {onnxruntime.__version__}, {arguments.threads} threads", flush=True)
    cpu.Session(arguments,
                lambda problem, dtype: [Attention(problem, dtype, arguments.threads)],
                "own choice").run()


if __name__ == "__main__":
    main()
