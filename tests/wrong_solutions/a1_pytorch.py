"""What students get wrong in the refresher on PyTorch."""

WRONG = {
    "a1-ex1-check": [
        # padding takes part
        """
def masked_mean(hidden, mask):
    return hidden.mean(dim=1)
""",
        # padding is zero, but counts
        """
def masked_mean(hidden, mask):
    return (hidden * mask[:, :, None]).mean(dim=1)
""",
        # no dimension added: stretched along the texts
        """
def masked_mean(hidden, mask):
    return (hidden * mask).sum(dim=1) / mask.sum(dim=1)
""",
        # the counts are stretched along the numbers of a row
        """
def masked_mean(hidden, mask):
    total = (hidden * mask[:, :, None]).sum(dim=1)
    if total.shape[0] != total.shape[1]:
        return total / mask.sum(dim=1)[:, None]
    return total / mask.sum(dim=1)
""",
        # the pieces of all texts are counted together
        """
def masked_mean(hidden, mask):
    return (hidden * mask[:, :, None]).sum(dim=1) / mask.sum()
""",
        # one mean for all texts
        """
def masked_mean(hidden, mask):
    return hidden[mask.bool()].mean(dim=0)
""",
        # a dimension too many
        """
def masked_mean(hidden, mask):
    weights = mask[:, :, None]
    return (hidden * weights).sum(1, keepdim=True) / weights.sum(1, keepdim=True)
""",
        # the sum
        """
def masked_mean(hidden, mask):
    return (hidden * mask[:, :, None]).sum(dim=1)
""",
        # prints the result
        """
def masked_mean(hidden, mask):
    print((hidden * mask[:, :, None]).sum(1) / mask.sum(1)[:, None])
""",
    ],
    "a1-ex2-check": [
        # to one side only
        """
import itertools
import torch
def numerical_gradient(f, x, h=1e-5):
    gradient = torch.zeros_like(x)
    for place in itertools.product(*(range(size) for size in x.shape)):
        step = torch.zeros_like(x)
        step[place] = h
        gradient[place] = (f(x + step) - f(x)) / h
    return gradient
""",
        # divided by h instead of 2h
        """
import itertools
import torch
def numerical_gradient(f, x, h=1e-5):
    gradient = torch.zeros_like(x)
    for place in itertools.product(*(range(size) for size in x.shape)):
        step = torch.zeros_like(x)
        step[place] = h
        gradient[place] = (f(x + step) - f(x - step)) / h
    return gradient
""",
        # moves x and leaves it moved
        """
import torch
def numerical_gradient(f, x, h=1e-5):
    gradient = torch.zeros_like(x)
    for i in range(len(x)):
        x[i] += h
        up = f(x)
        x[i] -= 2 * h
        gradient[i] = (up - f(x)) / (2 * h)
    return gradient
""",
        # all numbers moved at once
        """
import torch
def numerical_gradient(f, x, h=1e-5):
    return torch.ones_like(x) * (f(x + h) - f(x - h)) / (2 * h)
""",
        # one dimension only
        """
import torch
def numerical_gradient(f, x, h=1e-5):
    gradient = torch.zeros_like(x)
    for i in range(len(x)):
        step = torch.zeros_like(x)
        step[i] = h
        gradient[i] = (f(x + step) - f(x - step)) / (2 * h)
    return gradient
""",
        # a transposed x is read in the order of its storage
        """
import torch
def numerical_gradient(f, x, h=1e-5):
    flat = x.T.flatten() if x.dim() == 2 else x.flatten()
    gradient = torch.zeros_like(flat)
    for i in range(len(flat)):
        step = torch.zeros_like(flat)
        step[i] = h
        gradient[i] = (f((flat + step).view(x.shape))
                       - f((flat - step).view(x.shape))) / (2 * h)
    return gradient.view(x.shape)
""",
        # view needs contiguous numbers
        """
import torch
def numerical_gradient(f, x, h=1e-5):
    flat = x.view(-1)
    gradient = torch.zeros_like(flat)
    for i in range(len(flat)):
        step = torch.zeros_like(flat)
        step[i] = h
        gradient[i] = (f((flat + step).view(x.shape))
                       - f((flat - step).view(x.shape))) / (2 * h)
    return gradient.view(x.shape)
""",
        # the result is flat
        """
import torch
def numerical_gradient(f, x, h=1e-5):
    flat = x.flatten()
    gradient = torch.zeros_like(flat)
    for i in range(len(flat)):
        step = torch.zeros_like(flat)
        step[i] = h
        gradient[i] = (f((flat + step).view(x.shape))
                       - f((flat - step).view(x.shape))) / (2 * h)
    return gradient
""",
        # autograd
        """
import torch
def numerical_gradient(f, x, h=1e-5):
    leaf = x.clone().requires_grad_()
    f(leaf).backward()
    return leaf.grad
""",
        # a list
        """
def numerical_gradient(f, x, h=1e-5):
    return [0.0 for _ in x]
""",
    ],
    "a1-ex3-check": [
        # the bug is still there
        """
class Stack(nn.Module):
    def __init__(self, size, layers):
        super().__init__()
        self.layers = [nn.Linear(size, size) for _ in range(layers)]
        self.last = nn.Linear(size, 1)

    def forward(self, x):
        for layer in self.layers:
            x = torch.tanh(layer(x))
        return self.last(x)
""",
        # a tuple is no module either
        """
class Stack(nn.Module):
    def __init__(self, size, layers):
        super().__init__()
        self.layers = tuple(nn.Linear(size, size) for _ in range(layers))
        self.last = nn.Linear(size, 1)

    def forward(self, x):
        for layer in self.layers:
            x = torch.tanh(layer(x))
        return self.last(x)
""",
        # the same layer three times
        """
class Stack(nn.Module):
    def __init__(self, size, layers):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(size, size)] * layers)
        self.last = nn.Linear(size, 1)

    def forward(self, x):
        for layer in self.layers:
            x = torch.tanh(layer(x))
        return self.last(x)
""",
        # one layer too few
        """
class Stack(nn.Module):
    def __init__(self, size, layers):
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Linear(size, size) for _ in range(layers - 1))
        self.last = nn.Linear(size, 1)

    def forward(self, x):
        for layer in self.layers:
            x = torch.tanh(layer(x))
        return self.last(x)
""",
        # the last layer is not used
        """
class Stack(nn.Module):
    def __init__(self, size, layers):
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Linear(size, size) for _ in range(layers))
        self.last = nn.Linear(size, 1)

    def forward(self, x):
        for layer in self.layers:
            x = torch.tanh(layer(x))
        return x.mean(dim=1, keepdim=True)
""",
        # registered, but frozen
        """
class Stack(nn.Module):
    def __init__(self, size, layers):
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Linear(size, size) for _ in range(layers))
        self.layers.requires_grad_(False)
        self.last = nn.Linear(size, 1)

    def forward(self, x):
        for layer in self.layers:
            x = torch.tanh(layer(x))
        return self.last(x)
""",
        # nothing written yet
        """
class Stack(nn.Module):
    def __init__(self, size, layers):
        super().__init__()
        ...

    def forward(self, x):
        for layer in self.layers:
            x = torch.tanh(layer(x))
        return self.last(x)
""",
        # no __init__ at all
        """
class Stack(nn.Module):
    ...
""",
        # no forward
        """
class Stack(nn.Module):
    def __init__(self, size, layers):
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Linear(size, size) for _ in range(layers))
        self.last = nn.Linear(size, 1)
""",
    ],
}
