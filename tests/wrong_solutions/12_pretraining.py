"""Solutions of chapter 12's exercises that the checks must reject."""

WALK = """
import torch


class Walk:
    def __init__(self, seed):
        self.generator = torch.Generator().manual_seed(seed)
        self.weight = torch.zeros(3)
        self.momentum = torch.zeros(3)
        self.steps = 0

    def step(self):
        gradient = self.weight - 1 + torch.randn(3, generator=self.generator)
        self.momentum.mul_(0.9).add_(gradient)
        self.steps += 1
        self.weight.sub_(self.momentum / (10 + self.steps))
"""

WRONG = {
    "ch12-ex1-check": [
        # a mean of means
        """
def part_weights(counts):
    ranks = len(counts)
    parts = sum(len(process) for process in counts)
    return [[ranks / parts for _ in process] for process in counts]
""",
        # the average over the processes is forgotten
        """
def part_weights(counts):
    total = sum(sum(parts) for parts in counts)
    return [[count / total for count in parts] for parts in counts]
""",
        # each process divides by its own words
        """
def part_weights(counts):
    return [[count / sum(parts) for count in parts] for parts in counts]
""",
        # a flat list
        """
def part_weights(counts):
    ranks, total = len(counts), sum(sum(parts) for parts in counts)
    return [ranks * count / total for parts in counts for count in parts]
""",
        "def part_weights(counts):\n    pass\n",
    ],
    "ch12-ex2-check": [
        # no copies: the stored state walks on
        WALK
        + """
    def state(self):
        return {"weight": self.weight, "momentum": self.momentum,
                "steps": self.steps,
                "generator": self.generator.get_state()}

    def load_state(self, state):
        self.weight.copy_(state["weight"])
        self.momentum.copy_(state["momentum"])
        self.steps = state["steps"]
        self.generator.set_state(state["generator"])
""",
        # the momentum is forgotten
        WALK
        + """
    def state(self):
        return {"weight": self.weight.clone(), "steps": self.steps,
                "generator": self.generator.get_state()}

    def load_state(self, state):
        self.weight.copy_(state["weight"])
        self.steps = state["steps"]
        self.generator.set_state(state["generator"])
""",
        # the number of steps is forgotten
        WALK
        + """
    def state(self):
        return {"weight": self.weight.clone(),
                "momentum": self.momentum.clone(),
                "generator": self.generator.get_state()}

    def load_state(self, state):
        self.weight.copy_(state["weight"])
        self.momentum.copy_(state["momentum"])
        self.generator.set_state(state["generator"])
""",
        # the random numbers are forgotten
        WALK
        + """
    def state(self):
        return {"weight": self.weight.clone(),
                "momentum": self.momentum.clone(), "steps": self.steps}

    def load_state(self, state):
        self.weight.copy_(state["weight"])
        self.momentum.copy_(state["momentum"])
        self.steps = state["steps"]
""",
        # loading takes the stored tensors themselves: the next walk moves them
        WALK
        + """
    def state(self):
        return {"weight": self.weight.clone(),
                "momentum": self.momentum.clone(), "steps": self.steps,
                "generator": self.generator.get_state()}

    def load_state(self, state):
        self.weight = state["weight"]
        self.momentum = state["momentum"]
        self.steps = state["steps"]
        self.generator.set_state(state["generator"])
""",
    ],
}
