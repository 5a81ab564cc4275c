"""The parts of the report's HTML page: style, tables and texts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Final

from apprentice.cli.terminal import points
from apprentice.state.statistics import Difference, Rate

_STYLE: Final = """
:root { color-scheme: light dark; --ink: #1c2430; --soft: #5b6675; --line: #d9dee6;
  --page: #ffffff; --card: #f5f7fa; --s0: #1f5fd6; --s1: #b4540a; --s2: #167a4a; --s3: #7a5195;
  --s4: #8a6d00; --bad: #b3261e; --good: #167a4a; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6eaf0; --soft: #9aa6b6; --line: #303a48;
  --page: #12161c; --card: #1a2029; --s0: #7cb0ff; --s1: #ffab5e; --s2: #62d296; --s3: #c9a4e8;
  --s4: #e3c75f; --bad: #ff8a80; --good: #62d296; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
main { max-width: 60rem; margin: 0 auto; padding: 2.5rem 1.25rem 4rem; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 .4rem; letter-spacing: -.01em; }
h2 { font-size: 1.2rem; margin: 2.6rem 0 .8rem; }
h3 { font-size: 1rem; margin: 0 0 .4rem; }
p { margin: .5rem 0; } .soft { color: var(--soft); }
.lead { font-size: 1.1rem; max-width: 46rem; }
.panels { display: grid; gap: 1.25rem;
  grid-template-columns: repeat(auto-fit, minmax(18rem, 1fr)); }
.scroll + .panels { margin-top: 1.6rem; } ol { margin: 0; padding-left: 1.6rem; }
figure { margin: 0; } figcaption { color: var(--soft); font-size: .9rem; }
svg { width: 100%; height: auto; display: block; overflow: visible; }
.key { list-style: none; padding: 0; margin: .8rem 0 0; display: grid; gap: .15rem; }
.key li { color: var(--soft); } .key strong { color: var(--ink); font-weight: 600; }
.key svg { width: 34px; height: 12px; display: inline-block; margin-right: .5rem; }
.grid { stroke: var(--line); } .tick { fill: var(--soft); font-size: 12px; }
.line { fill: none; stroke-width: 2.5; stroke-linejoin: round; } .whisker { opacity: .45; }
.s0 { stroke: var(--s0); fill: var(--s0); } .s1 { stroke: var(--s1); fill: var(--s1); }
.s2 { stroke: var(--s2); fill: var(--s2); } .s3 { stroke: var(--s3); fill: var(--s3); }
.s4 { stroke: var(--s4); fill: var(--s4); }
.line { fill: none !important; } .whisker { stroke-width: 2; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: .45rem .7rem; border-bottom: 1px solid var(--line);
  white-space: nowrap; }
th:first-child, td:first-child { text-align: left; white-space: normal; }
td.sentence { white-space: normal; min-width: 10rem; } thead th { color: var(--soft);
  font-weight: 500; } tr.own td { font-weight: 600; } td small { color: var(--soft);
  font-weight: 400; display: block; }
.attempt { border: 1px solid var(--line); border-left: 4px solid var(--bad); border-radius: 8px;
  padding: 1rem 1.1rem; margin: 1rem 0; background: var(--card); }
.attempt.solved { border-left-color: var(--good); }
.reflection { border-left-color: var(--s0); background: none; }
.episode { white-space: pre-wrap; overflow-wrap: anywhere; margin: 0;
  font: .86rem/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
@media (max-width: 40rem) { main { padding: 1.5rem .9rem 3rem; } .tick { font-size: 19px; }
  th, td { padding: .4rem .45rem; } h1 { font-size: 1.6rem; } }
.agent { color: var(--s0); } .ended { margin: .6rem 0 0; font-weight: 600; }
"""


def document(title: str, sections: Iterable[str]) -> str:
    """Return a complete HTML page."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title>"
        f"<style>{_STYLE}</style></head><body><main>{''.join(sections)}</main></body></html>\n"
    )


def table(title: str, heads: Sequence[str], rows: Iterable[str]) -> str:
    """Return a heading and a table, which scrolls on a narrow page."""
    cells = "".join(f"<th>{escape(head)}</th>" for head in heads)
    return (
        f'<h2>{escape(title)}</h2><div class="scroll"><table><thead><tr>{cells}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def row(cells: Sequence[str], *, own: bool = False) -> str:
    """Return a table row; the cells are HTML, and `own` highlights the row."""
    mark = ' class="own"' if own else ""
    return f"<tr{mark}>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def interval(text: str) -> str:
    """Return a cell with a figure, and its interval below."""
    figure, bracket, rest = escape(text).partition(" (")
    return f"{figure}<small>({rest}</small>" if bracket else figure


def sentence_row(name: str, sentence: str) -> str:
    """Return a row with a sentence in place of a figure."""
    return f'<tr><td>{escape(name)}</td><td class="sentence">{escape(sentence)}</td></tr>'


def share(rate: Rate) -> str:
    """Return a share without its interval."""
    return f"{100 * rate.value:.0f} %"


def gaps(differences: Mapping[str, Difference]) -> list[str]:
    """Return a row for each control, with the difference to it."""
    return [row((escape(name), interval(points(gap)))) for name, gap in differences.items()]


def notes(about: Mapping[str, str]) -> str:
    """Return a list of names with their descriptions."""
    items = [
        f"<li><strong>{escape(name)}</strong> {escape(text)}</li>" for name, text in about.items()
    ]
    return f'<ul class="key">{"".join(items)}</ul>'
