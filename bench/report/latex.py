"""Tables of cells -> LaTeX for a paper, with the rules of booktabs. Every sign that LaTeX would read is escaped."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TextIO

from bench.report import marks
from bench.report.formats import Grid, Second, Strong


def to_latex(grids: Sequence[Grid], notes: Sequence[str], out: TextIO, left: int = 1, caption: str = "", label: str = "") -> None:
    """A `table` for each grid, the first `left` columns flush left. `caption` and `label` take the place of ours. What a sign means is
    printed below a table, other notes are comments."""
    out.write("% needs \\usepackage{booktabs}\n")
    signs = "".join(f"\\par\\smallskip{{\\footnotesize {escaped(note)}}}\n" for note in notes if note.startswith(marks.SIGN))
    for i, (own, header, lines) in enumerate(grids):
        told = own if not caption else f"{caption}: {own}" if len(grids) > 1 else caption
        named = f"{label}-{i + 1}" if len(grids) > 1 else label
        body = ["\\midrule" if not line else " & ".join(map(escaped, line)) + " \\\\" for line in lines]
        out.write(f"\\begin{{table}}\n\\centering\n\\caption{{{escaped(told)}}}\n" + (f"\\label{{{named}}}\n" if label else ""))
        out.write(f"\\begin{{tabular}}{{{'l' * left + 'r' * (len(header) - left)}}}\n\\toprule\n")
        out.write("\n".join([" & ".join(map(escaped, header)) + " \\\\", "\\midrule", *body, "\\bottomrule"]))
        out.write(f"\n\\end{{tabular}}\n{signs}\\end{{table}}\n")
    out.write("".join(f"% {' '.join(note.split())}\n" for note in notes if not note.startswith(marks.SIGN)))


_SIGNS = {
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
    **{"\\": "\\textbackslash{}", "~": "\\textasciitilde{}", "^": "\\textasciicircum{}", "<": "\\textless{}", ">": "\\textgreater{}"},
    **{"–": "--", "−": "$-$", "↑": "$\\uparrow$", "↓": "$\\downarrow$", "→": "$\\to$", "≈": "$\\approx$", "|": "\\textbar{}"},
    "†": "$^\\dagger$",
}
_MINUS = re.compile(r"(?<![\w.+-])-(?=\d)")  # of a negative number; a hyphen within a name stays one


def escaped(text: str) -> str:
    """A cell as LaTeX: the best in bold, the second underlined."""
    plain = "".join(_SIGNS.get(sign, sign) for sign in _MINUS.sub("−", text))
    if not text:
        return plain
    return f"\\textbf{{{plain}}}" if isinstance(text, Strong) else f"\\underline{{{plain}}}" if isinstance(text, Second) else plain
