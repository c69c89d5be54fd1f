"""What students get wrong in chapter 3."""

WRONG = {
    "ch03-ex1-check": [
        # the least similar row
        """
def read_position(vector, length):
    table = sinusoidal_positions(length, len(vector))
    return int((table @ vector).argmin())
""",
        # the fast clock alone: 44 looks like 0
        """
def read_position(vector, length):
    table = sinusoidal_positions(length, len(vector))[:, :2]
    return int((table @ vector[:2]).argmax())
""",
        # the angle of the fast clock
        """
import math
def read_position(vector, length):
    return round(math.atan2(vector[0], vector[1]) % (2 * math.pi))
""",
        # the slowest clock alone: noise hides a step
        """
import math
def read_position(vector, length):
    speed = 10000 ** (-(len(vector) - 2) / len(vector))
    return round(math.atan2(vector[-2], vector[-1]) / speed)
""",
        # sines only
        """
def read_position(vector, length):
    table = sinusoidal_positions(length, len(vector))[:, 0::2]
    return int((table @ vector[0::2]).argmax())
""",
        # a tensor, not an int
        """
def read_position(vector, length):
    return (sinusoidal_positions(length, len(vector)) @ vector).argmax()
""",
        # the nearest number by number, in the largest difference
        """
def read_position(vector, length):
    table = sinusoidal_positions(length, len(vector))
    return int((table - vector).abs().amax(1).argmin())
""",
        # off by one
        """
def read_position(vector, length):
    table = sinusoidal_positions(length + 1, len(vector))[1:]
    return int((table @ vector).argmax())
""",
        # the position 0 always
        """
def read_position(vector, length):
    return 0
""",
        # an exact match, which noise destroys
        """
def read_position(vector, length):
    for i, row in enumerate(sinusoidal_positions(length, len(vector))):
        if torch.allclose(row, vector):
            return i
    return 0
""",
    ],
    "ch03-ex2-check": [
        # turns back instead of on
        """
def shift(vectors, k):
    dim = vectors.shape[-1]
    angle = k * 10000 ** (-torch.arange(0, dim, 2) / dim)
    sin, cos = angle.sin(), angle.cos()
    first, second = vectors[:, 0::2], vectors[:, 1::2]
    turned = (cos * first - sin * second, cos * second + sin * first)
    return torch.stack(turned, dim=-1).flatten(1)
""",
        # one speed for all clocks
        """
import math
def shift(vectors, k):
    first, second = vectors[:, 0::2], vectors[:, 1::2]
    sin, cos = math.sin(k), math.cos(k)
    turned = (cos * first + sin * second, cos * second - sin * first)
    return torch.stack(turned, dim=-1).flatten(1)
""",
        # halves instead of alternating columns
        """
def shift(vectors, k):
    dim = vectors.shape[-1]
    angle = k * 10000 ** (-torch.arange(0, dim, 2) / dim)
    sin, cos = angle.sin(), angle.cos()
    first, second = vectors[:, : dim // 2], vectors[:, dim // 2 :]
    turned = (cos * first + sin * second, cos * second - sin * first)
    return torch.cat(turned, dim=1)
""",
        # the right pairs, put back as halves
        """
def shift(vectors, k):
    dim = vectors.shape[-1]
    angle = k * 10000 ** (-torch.arange(0, dim, 2) / dim)
    sin, cos = angle.sin(), angle.cos()
    first, second = vectors[:, 0::2], vectors[:, 1::2]
    turned = (cos * first + sin * second, cos * second - sin * first)
    return torch.cat(turned, dim=1)
""",
        # m / d instead of 2m / d: the ladder stops at 100
        """
def shift(vectors, k):
    dim = vectors.shape[-1]
    angle = k * 10000 ** (-torch.arange(dim // 2) / dim)
    sin, cos = angle.sin(), angle.cos()
    first, second = vectors[:, 0::2], vectors[:, 1::2]
    turned = (cos * first + sin * second, cos * second - sin * first)
    return torch.stack(turned, dim=-1).flatten(1)
""",
        # no minus: not a rotation
        """
def shift(vectors, k):
    dim = vectors.shape[-1]
    angle = k * 10000 ** (-torch.arange(0, dim, 2) / dim)
    sin, cos = angle.sin(), angle.cos()
    first, second = vectors[:, 0::2], vectors[:, 1::2]
    turned = (cos * first + sin * second, cos * second + sin * first)
    return torch.stack(turned, dim=-1).flatten(1)
""",
        # adds the sinusoids of k
        """
def shift(vectors, k):
    table = sinusoidal_positions(abs(k) + 1, vectors.shape[-1])
    return vectors + table[abs(k)]
""",
        # looks the rows up: right for sinusoids only
        """
def shift(vectors, k):
    n, dim = vectors.shape
    table = sinusoidal_positions(200, dim)
    if not torch.allclose(vectors.norm(dim=1), table[0].norm(), atol=1e-3):
        return vectors
    start = int((table @ vectors[0]).argmax()) + k
    return table[start : start + n]
""",
        # ignores the sign of k
        """
def shift(vectors, k):
    dim = vectors.shape[-1]
    angle = abs(k) * 10000 ** (-torch.arange(0, dim, 2) / dim)
    sin, cos = angle.sin(), angle.cos()
    first, second = vectors[:, 0::2], vectors[:, 1::2]
    turned = (cos * first + sin * second, cos * second - sin * first)
    return torch.stack(turned, dim=-1).flatten(1)
""",
        # moves rows, not vectors
        """
def shift(vectors, k):
    return vectors.roll(-k, dims=0)
""",
        # changes in place while it still reads
        """
def shift(vectors, k):
    vectors, dim = vectors.clone(), vectors.shape[-1]
    angle = k * 10000 ** (-torch.arange(0, dim, 2) / dim)
    sin, cos = angle.sin(), angle.cos()
    first, second = vectors[:, 0::2], vectors[:, 1::2]
    vectors[:, 0::2] = cos * first + sin * second
    vectors[:, 1::2] = cos * second - sin * first
    return vectors
""",
    ],
    "ch03-ex3-check": [
        # nothing repaired
        """
def repaired_positions(length, dim):
    position = torch.arange(length, dtype=torch.float64)[:, None]
    column = torch.arange(dim, dtype=torch.float64)
    angle = position / 10000 ** (column / (2 * dim))
    table = torch.zeros(length, dim, dtype=torch.float64)
    table[:, 0::2] = angle[:, 0::2].sin()
    table[:, 1::2] = angle[:, 1::2].cos()
    return table.float()
""",
        # only the pairs repaired
        """
def repaired_positions(length, dim):
    position = torch.arange(length, dtype=torch.float64)[:, None]
    column = torch.arange(dim, dtype=torch.float64)
    angle = position / 10000 ** ((column - column % 2) / (2 * dim))
    table = torch.zeros(length, dim, dtype=torch.float64)
    table[:, 0::2] = angle[:, 0::2].sin()
    table[:, 1::2] = angle[:, 1::2].cos()
    return table.float()
""",
        # only the wavelengths repaired
        """
def repaired_positions(length, dim):
    position = torch.arange(length, dtype=torch.float64)[:, None]
    column = torch.arange(dim, dtype=torch.float64)
    angle = position / 10000 ** (column / dim)
    table = torch.zeros(length, dim, dtype=torch.float64)
    table[:, 0::2] = angle[:, 0::2].sin()
    table[:, 1::2] = angle[:, 1::2].cos()
    return table.float()
""",
        # the pairs made equal by scaling the rows instead
        """
def repaired_positions(length, dim):
    position = torch.arange(length, dtype=torch.float64)[:, None]
    column = torch.arange(dim, dtype=torch.float64)
    angle = position / 10000 ** (column / dim)
    table = torch.zeros(length, dim, dtype=torch.float64)
    table[:, 0::2] = angle[:, 0::2].sin()
    table[:, 1::2] = angle[:, 1::2].cos()
    return (table / table.norm(dim=1, keepdim=True) * (dim / 2) ** 0.5).float()
""",
        # one speed for all pairs
        """
def repaired_positions(length, dim):
    position = torch.arange(length, dtype=torch.float64)[:, None]
    angle = position.expand(length, dim // 2)
    return torch.stack((angle.sin(), angle.cos()), -1).flatten(1).float()
""",
        # column // 2 without the factor 2
        """
def repaired_positions(length, dim):
    position = torch.arange(length, dtype=torch.float64)[:, None]
    pair = torch.arange(dim, dtype=torch.float64) // 2
    angle = position / 10000 ** (pair / dim)
    table = torch.zeros(length, dim, dtype=torch.float64)
    table[:, 0::2] = angle[:, 0::2].sin()
    table[:, 1::2] = angle[:, 1::2].cos()
    return table.float()
""",
        # cosine first
        """
def repaired_positions(length, dim):
    table = sinusoids(length, dim)
    return table.view(length, dim // 2, 2).flip(2).flatten(1)
def sinusoids(length, dim):
    position = torch.arange(length, dtype=torch.float64)[:, None]
    angle = position / 10000 ** (torch.arange(0, dim, 2) / dim)
    return torch.stack((angle.sin(), angle.cos()), -1).flatten(1).float()
""",
        # halves
        """
def repaired_positions(length, dim):
    position = torch.arange(length, dtype=torch.float64)[:, None]
    angle = position / 10000 ** (torch.arange(0, dim, 2) / dim)
    return torch.cat((angle.sin(), angle.cos()), 1).float()
""",
    ],
}
