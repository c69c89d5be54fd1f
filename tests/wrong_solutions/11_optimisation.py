"""What students get wrong in chapter 11."""

GOOGLE = """
def google_step(theta, gradient, m, v, learning_rate):
    m = 0.9 * m + 0.1 * gradient
    v = 0.999 * v + 0.001 * gradient**2
    u = m / (v**0.5 + 1e-6)
    return theta - learning_rate * (u + 0.01 * theta), m, v
"""
TRAIN = """
def repaired_train(model, steps, peak_rate, loss_scale):
    optimizer = make_optimizer(model, peak_rate, weight_decay=0.1)
    for done, micro_batches in enumerate(steps):
        optimizer.zero_grad()
        for group in optimizer.param_groups:
            group["lr"] = peak_rate * warmup_linear(done, len(steps), 0)
        for x, y in micro_batches:
            loss = (model(x) - y).square().mean() / len(micro_batches)
            (loss * loss_scale).backward()
        for parameter in model.parameters():
            parameter.grad /= loss_scale
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
"""


def changed(source: str, old: str, new: str) -> str:
    """The source with one mistake put in."""
    assert source.count(old) == 1, old
    return source.replace(old, new)


LOOP = """        for parameter in model.parameters():
            parameter.grad /= loss_scale
"""
CLIP = "        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)\n"
RATE = """        for group in optimizer.param_groups:
            group["lr"] = peak_rate * warmup_linear(done, len(steps), 0)
"""

WRONG = {
    "ch11-ex1-check": [
        # with the hats of the first step
        changed(GOOGLE, "u = m /", "u = m / 0.1 * 0.001**0.5 /"),
        # eps inside the root
        changed(GOOGLE, "v**0.5 + 1e-6", "(v + 1e-6)**0.5"),
        # eps of torch
        changed(GOOGLE, "1e-6", "1e-8"),
        # no root
        changed(GOOGLE, "v**0.5", "v"),
        # no decay
        changed(GOOGLE, " + 0.01 * theta", ""),
        # a decay that is not multiplied by the rate
        changed(
            GOOGLE,
            "learning_rate * (u + 0.01 * theta)",
            "learning_rate * u - 0.01 * theta",
        ),
        # L2 inside the averages
        changed(
            changed(
                GOOGLE,
                "    m = 0.9",
                "    gradient = gradient + 0.01 * theta\n    m = 0.9",
            ),
            "(u + 0.01 * theta)",
            "u",
        ),
        # uphill
        changed(GOOGLE, "theta - learning", "theta + learning"),
        # decay with the wrong sign
        changed(GOOGLE, "u + 0.01", "u - 0.01"),
        # the averages are forgotten
        changed(GOOGLE, "0.9 * m + ", ""),
        # beta2 as beta1
        changed(GOOGLE, "0.999 * v + 0.001", "0.9 * v + 0.1"),
        # returns theta alone
        changed(GOOGLE, "theta), m, v", "theta)"),
        # writes into m
        changed(
            GOOGLE,
            "m = 0.9 * m + 0.1 * gradient",
            "m *= 0.9; m += 0.1 * gradient",
        ),
        # writes into theta
        changed(
            GOOGLE,
            "return theta - learning_rate * (u + 0.01 * theta), m, v",
            "theta -= learning_rate * (u + 0.01 * theta)\n    return theta, m, v",
        ),
        # returns the old averages
        """
def google_step(theta, gradient, m, v, learning_rate):
    new_m = 0.9 * m + 0.1 * gradient
    new_v = 0.999 * v + 0.001 * gradient**2
    u = new_m / (new_v**0.5 + 1e-6)
    return theta - learning_rate * (u + 0.01 * theta), m, v
""",
    ],
    "ch11-ex2-check": [
        # momentum ignored
        "def stable_rate(A, mu): return 2 / np.linalg.eigvalsh(A).max()",
        # momentum as if it shortened the limit
        "def stable_rate(A, mu): return 2 * (1 - mu) / np.linalg.eigvalsh(A).max()",
        # for averages instead of sums
        "def stable_rate(A, mu): return 2 * (1 + mu) / (1 - mu) / np.linalg.eigvalsh(A).max()",
        # where the roots stop being complex
        "def stable_rate(A, mu): return (1 + mu**0.5)**2 / np.linalg.eigvalsh(A).max()",
        # the diagonal is not the curvature of a turned valley
        "def stable_rate(A, mu): return 2 * (1 + mu) / np.diag(A).max()",
        # the largest entry
        "def stable_rate(A, mu): return 2 * (1 + mu) / A.max()",
        # the flattest direction
        "def stable_rate(A, mu): return 2 * (1 + mu) / np.linalg.eigvalsh(A).min()",
        # the trace
        "def stable_rate(A, mu): return 2 * (1 + mu) / np.trace(A)",
        # the best rate of (11.6)
        "def stable_rate(A, mu): e = np.linalg.eigvalsh(A); return 2 * (1 + mu) / (e.min() + e.max())",
        # a limit for each direction
        "def stable_rate(A, mu): return 2 * (1 + mu) / np.linalg.eigvalsh(A)",
        # changes A
        "def stable_rate(A, mu): A *= 1.5; return 3 * (1 + mu) / np.linalg.eigvalsh(A).max()",
        # half of it
        "def stable_rate(A, mu): return (1 + mu) / np.linalg.eigvalsh(A).max()",
    ],
    "ch11-ex3-check": [
        # decay for all
        changed(
            TRAIN,
            "make_optimizer(model, peak_rate, weight_decay=0.1)",
            "torch.optim.AdamW(model.parameters(), lr=peak_rate, eps=1e-6, weight_decay=0.1)",
        ),
        # no decay at all
        changed(TRAIN, "weight_decay=0.1", "weight_decay=0"),
        # another decay
        changed(TRAIN, ", weight_decay=0.1", ""),
        # the rate by micro-batch
        changed(
            TRAIN,
            "warmup_linear(done, len(steps), 0)",
            "warmup_linear(done * len(micro_batches), len(steps), 0)",
        ),
        # the rate stays
        changed(TRAIN, RATE, ""),
        # the rate of the next step
        changed(TRAIN, "warmup_linear(done,", "warmup_linear(done + 1,"),
        # the sum of the micro-batches
        changed(TRAIN, " / len(micro_batches)", ""),
        # clips first
        changed(TRAIN, LOOP + CLIP, CLIP + LOOP),
        # the scale is never taken out
        changed(TRAIN, LOOP, ""),
        # no clipping
        changed(TRAIN, CLIP, ""),
        # clips each tensor by itself
        changed(
            TRAIN,
            CLIP,
            "        for p in model.parameters():\n"
            "            torch.nn.utils.clip_grad_norm_([p], 1.0)\n",
        ),
        # clips number by number
        changed(TRAIN, "clip_grad_norm_", "clip_grad_value_"),
        # clips to another norm
        changed(TRAIN, "parameters(), 1.0", "parameters(), 10.0"),
        changed(TRAIN, "parameters(), 1.0", "parameters(), 0.5"),
        # makes short gradients longer
        changed(
            TRAIN,
            CLIP,
            "        norm = torch.stack([p.grad.norm() for p in model.parameters()]).norm()\n"
            "        for p in model.parameters():\n"
            "            p.grad /= norm + 1e-12\n",
        ),
        # clips after the step
        changed(
            TRAIN,
            CLIP + "        optimizer.step()\n",
            "        optimizer.step()\n" + CLIP,
        ),
        # clips in every micro-batch, scaled
        changed(
            TRAIN,
            "            (loss * loss_scale).backward()\n",
            "            (loss * loss_scale).backward()\n    " + CLIP,
        ),
        # a step for each micro-batch
        changed(
            TRAIN,
            LOOP + CLIP + "        optimizer.step()\n",
            "".join(
                "    " + line + "\n"
                for line in (
                    LOOP + CLIP + "        optimizer.step()"
                ).splitlines()
            ),
        ),
        # gradients of earlier steps are kept
        changed(TRAIN, "        optimizer.zero_grad()\n", ""),
        # only the last micro-batch counts
        changed(
            TRAIN,
            "            loss = (model",
            "            optimizer.zero_grad()\n            loss = (model",
        ),
        # trains a copy
        changed(
            TRAIN,
            "    optimizer = make",
            "    import copy\n    model = copy.deepcopy(model)\n    optimizer = make",
        ),
    ],
}
