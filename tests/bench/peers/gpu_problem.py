"""One step's inputs for the peers of gpu.py, and what a form of attention makes of them."""
import math
import os

import torch

PAGE = 64


def free_bytes(device):
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


class Problem:
    """Inputs of N(0,1). K and V of each level of prefixes, and of the tails: [n, heads, tokens,
    dim]; the sequences are divided evenly among the prefixes of a level."""

    def __init__(self, shape, dtype, device):
        self.rows, self.q_heads, self.kv_heads, self.dim, levels, tail = shape
        self.group = self.q_heads // self.kv_heads
        self.device = device
        torch.manual_seed(42)

        def normal(*size):
            return torch.randn(*size, device=device, dtype=dtype)

        self.q = normal(self.rows, self.q_heads, self.dim)
        self.levels = [[normal(count, self.kv_heads, tokens, self.dim) for _ in "kv"]
                       for count, tokens in levels]
        self.tails = [normal(self.rows, self.kv_heads, tail, self.dim) for _ in "kv"]

    def q_rows(self):
        return self.q.view(self.rows, self.kv_heads, self.group, self.dim)

    def parts(self):
        """The levels of prefixes and then the tails."""
        return [*self.levels, self.tails]

    def below(self, count):
        """Sequences below each of a level's `count` prefixes."""
        return self.rows // count

    def chain(self, row):
        """K and V of one sequence, [heads, tokens, dim]."""
        return [torch.cat([part[i][row // self.below(part[i].shape[0])] for part in self.parts()],
                          dim=1) for i in range(2)]

    def copies(self):
        """K and V of every sequence, with its own copy of all above it."""
        tokens = sum(part[0].shape[2] for part in self.parts())
        needed = 2 * tokens * self.rows * self.kv_heads * self.dim * self.q.element_size()
        if needed > free_bytes(self.device) // 2:
            raise RuntimeError(f"the copies of the prefix take {needed / 2**30:.0f} GiB")
        return [torch.cat([part[i].repeat_interleave(self.below(part[i].shape[0]), dim=0)
                           for part in self.parts()], dim=2) for i in range(2)]

    def pages(self):
        """[page, k or v, token, head, dim], and for each part the numbers of its pages, [n, pages].
        """
        pages, numbers, first = [], [], 0
        for k, v in self.parts():
            if k.shape[2] % PAGE:
                raise RuntimeError(f"its pages of {PAGE} tokens are made for whole pages only")
            both = torch.stack([k, v], dim=1)  # [n, 2, heads, tokens, dim]
            cut = both.unflatten(3, (-1, PAGE)).permute(0, 3, 1, 4, 2, 5)
            pages.append(cut.reshape(-1, 2, PAGE, self.kv_heads, self.dim))
            count = pages[-1].shape[0]
            own = torch.arange(first, first + count, dtype=torch.int32, device=self.device)
            numbers.append(own.view(k.shape[0], -1))
            first += count
        return torch.cat(pages), numbers

    def page_lists(self):
        """The pages, and of every sequence the numbers of its own and of those above, [rows, n]."""
        pages, numbers = self.pages()
        return pages, torch.cat([own.repeat_interleave(self.below(own.shape[0]), dim=0)
                                 for own in numbers], dim=1).contiguous()

    def error(self, out):
        """||out - exact|| / ||exact|| of the first and the last sequence."""
        off = size = 0.0
        for row in {0, self.rows - 1}:
            k, v = (x.double() for x in self.chain(row))
            q = self.q_rows()[row].double()
            exact = torch.softmax(q @ k.transpose(1, 2) / math.sqrt(self.dim), dim=-1) @ v
            got = out.reshape(self.q_rows().shape)[row].double()
            off += (got - exact).square().sum().item()
            size += exact.square().sum().item()
        return math.sqrt(off / size)
