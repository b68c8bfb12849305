"""How answers are laid out: columns, and values in Go's syntax (spec agent §1.1.7, §1.11)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from serfcompat.agent.quoting import quote

SPACE = (
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)
"What Go calls white space; Python's `strip` takes more."


def columns(rows: Sequence[str]) -> str:
    """Align the cells of rows, which are separated by `|`. The last cell of each row isn't padded."""
    cells = [[cell.strip(SPACE) for cell in row.split("|")] for row in rows]
    widths: dict[int, int] = {}
    for row in cells:
        for column, cell in enumerate(row):
            widths[column] = max(widths.get(column, 0), len(cell))
    return "\n".join(
        "  ".join([*(cell.ljust(widths[column]) for column, cell in enumerate(row[:-1])), row[-1]]) for row in cells
    )


def go_syntax(value: object, kind: str = "byte") -> str:
    """A decoded value as Go's `%#v` shows it. `kind`: the name that bytes go by, another one inside collections."""
    match value:
        case None:
            return "<nil>"
        case bool():
            return "true" if value else "false"
        case str():
            return quote(value)
        case bytes():
            return f"[]{kind}{{{', '.join(f'{byte:#x}' for byte in value)}}}"
        case Mapping():
            items = (f"{go_syntax(key, 'uint8')}:{go_syntax(item, 'uint8')}" for key, item in value.items())
            return f"map[interface {{}}]interface {{}}{{{', '.join(items)}}}"
        case list() | tuple():
            return f"[]interface {{}}{{{', '.join(go_syntax(item, 'uint8') for item in value)}}}"
        case _:
            return str(value)
