"""A long random story: requests come, fork, roll back, get frozen and go, over a growing tree."""
from reference import Layer, WINDOW_SLIDING

LAYERS = [
    Layer(num_q_heads=1, num_kv_heads=1, head_dim_k=32, head_dim_v=32),
    Layer(num_q_heads=2, num_kv_heads=1, head_dim_k=32, head_dim_v=32, logit_softcap=3.0,
          window_kind=WINDOW_SLIDING, window=9, retain=-1),
]
MOST_REQUESTS, MOST_TOKENS, ROUNDS = 6, 60, 22


class Draw:
    """Numbers that are the same in every version of Python."""

    def __init__(self, seed):
        self.state = seed

    def below(self, n):
        self.state = (self.state * 1103515245 + 12345) % 2**31
        return (self.state >> 12) % n

    def one_of(self, items):
        return items[self.below(len(items))]


class Crowd:
    def __init__(self, s, draw):
        self.s, self.draw = s, draw
        self.prefixes, self.requests, self.made = [""], [], 0

    def fresh(self, kind):
        self.made += 1
        return f"crowd.{kind}{self.made}"

    def length(self, name):
        return len(self.s.objects[name].chain)

    def add_prefix(self):
        name = self.fresh("p")
        self.s.prefix_fill(name, "crowd.cache", self.draw.one_of(self.prefixes),
                           1 + self.draw.below(11))
        self.prefixes.append(name)

    def join(self):
        name = self.fresh("s")
        self.s.sequence_attach(name, "crowd.cache", self.draw.one_of(self.prefixes))
        self.requests.append(name)

    def fork(self):
        name = self.fresh("f")
        self.s.sequence_fork(name, self.draw.one_of(self.requests))
        self.requests.append(name)

    def leave(self):
        self.s.release(self.requests.pop(self.draw.below(len(self.requests))))

    def roll_back(self):
        name = self.draw.one_of(self.requests)
        self.s.sequence_truncate(name, self.draw.below(self.length(name) + 1))

    def freeze(self):
        name, prefix = self.draw.one_of(self.requests), self.fresh("z")
        if self.length(name):
            self.s.prefix_from_sequence(prefix, name, 1 + self.draw.below(self.length(name)))
            self.prefixes.append(prefix)

    def split(self):
        name, head = self.draw.one_of(self.prefixes), self.fresh("h")
        prefix = self.s.objects[name]
        if prefix and name.startswith("crowd.p") and len(prefix.tokens) > 1:
            self.s.prefix_split(head, name, 1 + self.draw.below(len(prefix.tokens) - 1))
            self.prefixes.append(head)

    def change(self):
        changes = [self.join]
        if self.requests:
            changes += [self.fork, self.leave, self.roll_back, self.freeze, self.split]
        if len(self.requests) >= MOST_REQUESTS:
            changes = [self.leave, self.roll_back]
        self.draw.one_of(changes)()

    def step(self):
        names = [n for n in self.requests if self.length(n) < MOST_TOKENS and self.draw.below(5)]
        q_lens = [self.draw.one_of([0, 1, 1, 1, 2, 3]) for _ in names]
        self.s.batch_begin("crowd.batch", names, q_lens)
        self.s.batch_attend("crowd.batch", 1, want_lse=0)
        self.s.batch_attend("crowd.batch", 0)
        if self.draw.below(6) == 0:
            self.s.batch_abort("crowd.batch")
        elif self.draw.below(3) == 0 and names:
            self.s.batch_commit("crowd.batch", [self.draw.below(n + 1) for n in q_lens])
        else:
            self.s.batch_commit("crowd.batch")
        for name in names:
            self.s.sequence_length(name)


def tell(s):
    s.model_create("crowd.model", len(LAYERS))
    for i, layer in enumerate(LAYERS):
        s.model_set_layers("crowd.model", i, 1, layer)
    s.cache_create("crowd.cache", "cpu2", "crowd.model", 4, 800)
    s.batch_create("crowd.batch", "crowd.cache")
    crowd = Crowd(s, Draw(2024))
    for _ in range(3):
        crowd.add_prefix()
        crowd.join()
    for number in range(ROUNDS):
        for _ in range(2):
            crowd.change()
        if number % 7 == 3:
            crowd.add_prefix()
        crowd.step()
    s.release(*crowd.requests, *crowd.prefixes[1:])
    for group in (0, 1):
        s.cache_pages("crowd.cache", group, 200, 200)
    s.release("crowd.batch", "crowd.cache", "crowd.model")
