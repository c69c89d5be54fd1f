"""Solutions of chapter 18's exercises that the checks must reject."""

WRONG = {
    "ch18-ex1-check": [
        # one row too many
        """
def rows_that_fit(config, seq_len, memory):
    from bertlib.scaling import step_memory

    masked = round(0.15 * seq_len)
    one, two = (step_memory(config, rows, seq_len, rows * masked).total
                for rows in (1, 2))
    return max(0, int((memory - one) // (two - one)) + 2)
""",
        # the parameters are forgotten
        """
def rows_that_fit(config, seq_len, memory):
    from bertlib.scaling import step_memory

    masked = round(0.15 * seq_len)
    row = step_memory(config, 1, seq_len, masked).activations
    return int(memory // row)
""",
        # a whole step, parameters included, for every row
        """
def rows_that_fit(config, seq_len, memory):
    from bertlib.scaling import step_memory

    return int(memory // step_memory(
        config, 1, seq_len, round(0.15 * seq_len)).total)
""",
        # a negative number of rows
        """
def rows_that_fit(config, seq_len, memory):
    from bertlib.scaling import step_memory

    masked = round(0.15 * seq_len)
    one, two = (step_memory(config, rows, seq_len, rows * masked).total
                for rows in (1, 2))
    return int((memory - 2 * one + two) // (two - one))
""",
        # no asked places
        """
def rows_that_fit(config, seq_len, memory):
    from bertlib.scaling import step_memory

    one, two = (step_memory(config, rows, seq_len, 0).total
                for rows in (1, 2))
    return max(0, int((memory - 2 * one + two) // (two - one)))
""",
        "def rows_that_fit(config, seq_len, memory):\n    pass\n",
    ],
    "ch18-ex2-check": [
        # the other way round
        """
def timetable(rank, ranks):
    return [((rank + t) % ranks, (rank + t + 1) % ranks)
            for t in range(2 * (ranks - 1))]
""",
        # the second half starts again from the own piece
        """
def timetable(rank, ranks):
    half = [((rank - t) % ranks, (rank - t - 1) % ranks)
            for t in range(ranks - 1)]
    return half + half
""",
        # always the own piece
        """
def timetable(rank, ranks):
    return [(rank, (rank - 1) % ranks)] * (2 * (ranks - 1))
""",
        # only the first half
        """
def timetable(rank, ranks):
    return [((rank - t) % ranks, (rank - t - 1) % ranks)
            for t in range(ranks - 1)]
""",
        # one round too many
        """
def timetable(rank, ranks):
    return [((rank - t) % ranks, (rank - t - 1) % ranks)
            for t in range(2 * ranks - 1)]
""",
        "def timetable(rank, ranks):\n    pass\n",
    ],
}
