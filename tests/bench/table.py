"""The table that the README shows."""

from bench import Row

COLUMNS = "| work | engine | warrantyd | peer | ratio | goal | peak memory |"


def line(row: Row) -> str:
    mark = {True: "met", False: "**missed**", None: ""}[row.is_met]
    cells = [
        row.work,
        row.engine,
        row.ours,
        row.peer,
        "" if row.ratio is None else f"{row.ratio:.2f} ×",
        f"{row.goal} {mark}".strip(),
        "" if row.peak_mb is None else f"{row.peak_mb:.0f} MB",
    ]
    return f"| {' | '.join(cells)} |"


def markdown(rows: list[Row]) -> str:
    rule = "|---" * COLUMNS.count(" | ") + "|---|"
    return "\n".join([COLUMNS, rule, *map(line, rows)])
