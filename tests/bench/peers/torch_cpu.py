#!/usr/bin/env python3
"""PyTorch's two best forms of shared-prefix decode attention on a CPU, in turns with ours.

    python3 -m venv VENV && VENV/bin/pip install torch numpy
    VENV/bin/python tests/bench/peers/torch_cpu.py BUILD/tests/bench/relayattn-bench \\
        [--shapes cpu] [--dtype bf16 f32] [--threads N] [--isa NAME...] [--rounds 7]
        [--time-limit SECONDS] [--json FILE]

  relay  flash attention over the prefix once, all sequences' rows together, flash attention over
         the tails, and the two merged by their log-sum-exps
  flat   scaled_dot_product_attention of every sequence over its own copy of the prefix, the G query
         heads of a KV head given as rows (1.3 to 10 times faster than enable_gqa)

A round is one cold sample of ours with each instruction set that --isa names, and of each form; a
form that takes twice as long as the other takes part in the first only. Times are minima over the
clean samples, those whose threads waited for a core for less than 3 % of the time; `of` is the
floor. PyTorch is not charged for appending the new tokens; ours is.
"""
import torch

import cpu

flash = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu


class TorchForm(cpu.Form):
    def __init__(self, problem):
        self.problem, self.out = problem, None
        self.waking = torch.ones(1 << 18)  # large enough that all threads take part

    def wake(self):
        self.waking.sum()

    def result(self):
        return self.out


class Relay(TorchForm):
    name = "torch relay"

    def memory(self):
        return [self.problem.q, *self.problem.prefix, *self.problem.tails]

    def call(self):
        p, q = self.problem, self.problem.q_rows()
        prefix_out, prefix_lse = flash(p.packed_q().unsqueeze(0), *p.prefix)
        tail_out, tail_lse = flash(q, *p.tails)

        def unpacked(x, *last):
            return x.reshape(p.kv_heads, p.rows, p.group, *last).transpose(0, 1)

        weight = torch.sigmoid(unpacked(prefix_lse) - tail_lse).unsqueeze(-1)
        prefix_out = unpacked(prefix_out, p.dim)
        self.out = torch.lerp(tail_out.float(), prefix_out.float(), weight).to(q.dtype)


class Flat(TorchForm):
    name = "torch flat"

    def __init__(self, problem):
        super().__init__(problem)
        self.copies = problem.copies()

    def memory(self):
        return [self.problem.q, *self.copies]

    def call(self):
        self.out = torch.nn.functional.scaled_dot_product_attention(self.problem.q_rows(),
                                                                    *self.copies)


@torch.inference_mode()
def main():
    arguments = cpu.read_arguments(__doc__, ["bf16", "f32"])
    torch.set_num_threads(arguments.threads)
    isa = torch.backends.cpu.get_cpu_capability()
    print(f"PyTorch {torch.__version__} ({isa}), {arguments.threads} threads", flush=True)
    cpu.Session(arguments, lambda problem, _: [Relay(problem), Flat(problem)], isa).run()


if __name__ == "__main__":
    main()
