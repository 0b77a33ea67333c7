"""The peers of gpu.py: each takes a problem and gives a call that computes its step."""
import importlib.util
import math

import torch

from gpu_problem import PAGE


def flash(device):
    if device.type == "cuda":
        return torch.ops.aten._scaled_dot_product_flash_attention
    return torch.ops.aten._scaled_dot_product_flash_attention_for_cpu


def merge(parts, dtype):
    """Parts of one attention, each with its out and its log-sum-exp."""
    out, lse = parts[0][0].float(), parts[0][1]
    for index, (next_out, next_lse) in enumerate(parts[1:], start=2):
        weight = torch.sigmoid(next_lse - lse).unsqueeze(-1)
        out = torch.lerp(out, next_out.float(), weight)
        if index < len(parts):
            lse = torch.logaddexp(lse, next_lse)
    return out.to(dtype)


def cascade(problem, merged):
    """Flash attention of every part, all sequences below a prefix together, and a merge."""
    attend = flash(problem.device)
    heads, group, dim = problem.kv_heads, problem.group, problem.dim

    def part(q, k, v):
        count, below = k.shape[0], problem.below(k.shape[0])
        packed = q.view(count, below, heads, group, dim).transpose(1, 2)
        out, lse = attend(packed.reshape(count, heads, below * group, dim), k, v)[:2]

        def unpacked(x, *last):
            x = x.reshape(count, heads, below, group, *last).transpose(1, 2)
            return x.reshape(problem.rows, heads, group, *last)

        return unpacked(out, dim), unpacked(lse)

    def run():
        q = problem.q_rows()
        return merged([part(q, k, v) for k, v in problem.parts()], q.dtype)

    return run


def torch_cascade(problem):
    return cascade(problem, merge)


def torch_compiled(problem):
    torch.compiler.reset()  # it would stop compiling after a few shapes
    return cascade(problem, torch.compile(merge, dynamic=False))


def torch_cudnn(problem):
    keys, values = problem.copies()
    backend = torch.nn.attention.SDPBackend.CUDNN_ATTENTION
    if problem.device.type != "cuda":
        backend = torch.nn.attention.SDPBackend.FLASH_ATTENTION

    def run():
        with torch.nn.attention.sdpa_kernel(backend):
            return torch.nn.functional.scaled_dot_product_attention(
                problem.q_rows(), keys, values)

    return run


def workspace(problem):
    return torch.zeros(256 << 20, dtype=torch.uint8, device=problem.device)


def steps(problem, count, stride):
    return torch.arange(count + 1, dtype=torch.int32, device=problem.device) * stride


def full_pages(problem, count):
    return torch.full((count,), PAGE, dtype=torch.int32, device=problem.device)


def fi_cascade(problem):
    import flashinfer  # pylint: disable=import-outside-toplevel
    if not problem.levels:
        raise RuntimeError("there is no prefix")
    pages, numbers = problem.pages()
    wrapper = flashinfer.MultiLevelCascadeAttentionWrapper(len(numbers), workspace(problem), "NHD")
    for level in wrapper._batch_prefill_wrappers:  # pylint: disable=protected-access
        level._backend = "fa2"  # pylint: disable=protected-access
    counts = [own.shape[0] for own in numbers]
    wrapper.plan([steps(problem, n, problem.below(n)) for n in counts],
                 [steps(problem, *own.shape) for own in numbers],
                 [own.flatten() for own in numbers], [full_pages(problem, n) for n in counts],
                 problem.q_heads, problem.kv_heads, problem.dim, PAGE,
                 q_data_type=problem.q.dtype)
    return lambda: wrapper.run(problem.q, pages)


def fi_decode(problem):
    import flashinfer  # pylint: disable=import-outside-toplevel
    pages, lists = problem.page_lists()
    wrapper = flashinfer.BatchDecodeWithPagedKVCacheWrapper(
        workspace(problem), "NHD", use_tensor_cores=True, backend="fa2")
    wrapper.plan(steps(problem, *lists.shape), lists.flatten(), full_pages(problem, problem.rows),
                 problem.q_heads, problem.kv_heads, problem.dim, PAGE,
                 q_data_type=problem.q.dtype)
    return lambda: wrapper.run(problem.q, pages)


def fi_xqa(problem):
    from flashinfer.decode import (  # pylint: disable=import-outside-toplevel
        xqa_batch_decode_with_kv_cache)
    pages, lists = problem.page_lists()
    length = lists.shape[1] * PAGE
    lengths = torch.full((problem.rows,), length, dtype=torch.int32, device=problem.device)
    memory = workspace(problem)
    return lambda: xqa_batch_decode_with_kv_cache(
        problem.q, pages, memory, lists, lengths.view(torch.uint32), length,
        bmm1_scale=1 / math.sqrt(problem.dim), bmm2_scale=1.0, kv_layout="NHD")


# name -> the module that it needs, and how it is made
PEERS = {"torch cascade": ("torch", torch_cascade), "torch compiled": ("torch", torch_compiled),
         "torch cudnn": ("torch", torch_cudnn), "fi cascade": ("flashinfer", fi_cascade),
         "fi decode": ("flashinfer", fi_decode), "fi xqa": ("flashinfer", fi_xqa)}


def installed(names):
    return [name for name in names if importlib.util.find_spec(PEERS[name][0]) is not None]
