"""The report of `apprentice learn`: one HTML file that needs nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, Final, NamedTuple

from cli import chart
from cli.evaluation import rows
from cli.exemplars import NOTHING
from cli.journal import Finished
from cli.learn import CONTROLS, LEARNER, SIZES, STUDENT, Lesson, Results, example, pooled
from cli.screen import percent, points
from cli.summary import Arm, Curve, Summary, compare, summarise
from cli.techniques import TECHNIQUES
from cli.tuning import WAYS
from state.nouns import SCHEMA_VERSION, Trajectory, text_of
from state.statistics import Difference, Rate

JUDGED_AT: Final = 3  # the trial after which techniques are compared
UNRELEASED: Final = "none passed the gate on held-out tasks, so expel's attempts had none in view"

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
figure { margin: 0; } figcaption { color: var(--soft); font-size: .9rem; }
svg { width: 100%; height: auto; display: block; }
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
th:first-child, td:first-child { text-align: left; } thead th { color: var(--soft);
  font-weight: 500; } tr.own td { font-weight: 600; } td small { color: var(--soft);
  font-weight: 400; display: block; }
.attempt { border: 1px solid var(--line); border-left: 4px solid var(--bad); border-radius: 8px;
  padding: 1rem 1.1rem; margin: 1rem 0; background: var(--card); }
.attempt.solved { border-left-color: var(--good); }
.lesson { border-left-color: var(--s0); background: none; }
.episode { white-space: pre-wrap; overflow-wrap: anywhere; margin: 0;
  font: .86rem/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
.agent { color: var(--s0); } .ended { margin: .6rem 0 0; font-weight: 600; }
"""


class Figures(NamedTuple):
    """What a lesson amounts to.

    Attributes:
        summaries: technique -> its figures, the learner's first.
        trial: the trial after which techniques are compared.
        differences: control -> how far the learner is above it.
        exemplars: success by what is recorded in memory, if that was measured.
        rules: how far learned rules alone are above none, on one try; None if none were learned.
        weights: success with each set of weights, if fine-tunes were made.
        released: whether any learned rule passed the gate, so that it was in view.
    """

    summaries: dict[str, Summary]
    trial: int
    differences: dict[str, Difference]
    exemplars: Curve | None = None
    rules: Difference | None = None
    released: bool = False
    weights: Mapping[str, Arm] = {}


def figures(
    lesson: Lesson,
    results: Results,
    exemplars: Curve | None = None,
    weights: Mapping[str, Arm] | None = None,
) -> Figures:
    """Sum a lesson up, all sizes of room together."""
    every = pooled(results)
    trial = min(JUDGED_AT, lesson.trials)
    return Figures(
        {name: summarise(done, lesson.trials) for name, done in every.items()},
        trial,
        {name: compare(every[LEARNER], every[name], trial) for name in CONTROLS},
        exemplars,
        compare(every[STUDENT], every["none"], 1) if STUDENT in every else None,
        any(each.in_view.rules for done in every.get(STUDENT, ()) for each in done.attempts),
        weights or {},
    )


def as_json(lesson: Lesson, results: Results, found: Figures) -> dict[str, Any]:
    """Return the report as data, with a row an attempt."""
    return {
        "schema_version": SCHEMA_VERSION,
        "lesson": {
            "world": lesson.world,
            "tasks": lesson.tasks,
            "trials": lesson.trials,
            "model": lesson.model,
            "seed": lesson.seed,
            "max_tokens": lesson.max_tokens,
        },
        "summaries": {name: one.model_dump() for name, one in found.summaries.items()},
        "compared_after_trial": found.trial,
        "rules_above_none": found.rules._asdict() if found.rules else None,
        "rules_released": found.released,
        "differences": {name: gap._asdict() for name, gap in found.differences.items()},
        "exemplars": found.exemplars and _levels(found.exemplars),
        "weights": {name: _arm(arm) for name, arm in found.weights.items()},
        "rows": {
            name: [row.model_dump() for row in rows(done)] for name, done in pooled(results).items()
        },
    }


def html(lesson: Lesson, results: Results, found: Figures) -> str:
    """Render the whole report."""
    own = pooled(results)[LEARNER]
    body = [
        _head(lesson, found),
        _curves(found.summaries, results, lesson.trials),
        _by_trial(found.summaries),
        _gaps(found),
        _families(own, lesson.trials),
        _exemplars(found.exemplars) if found.exemplars else "",
        _weights(found.weights) if found.weights else "",
        _example(own),
        _costs(found.summaries),
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        "<title>An agent that learns from its failures</title>"
        f"<style>{_STYLE}</style></head><body><main>{''.join(body)}</main></body></html>\n"
    )


def _head(lesson: Lesson, found: Figures) -> str:
    own, tasks = found.summaries[LEARNER].by_trial, found.summaries[LEARNER].tasks
    nearest, gap = min(found.differences.items(), key=lambda each: each[1].value)
    return (
        "<h1>An agent that learns from its failures</h1>"
        f'<p class="soft">{escape(lesson.model)} on {tasks} household tasks it '
        f"has never seen, in the world “{escape(lesson.world)}” · {lesson.trials} trials · "
        f"seed {lesson.seed}</p>"
        f'<p class="lead">On the first trial it solved <strong>{_share(own[0])}</strong> of the '
        "tasks. After each failure it wrote down what it had learned, and tried again with that "
        f"in view: within {lesson.trials} trials it solved <strong>{_share(own[-1])}</strong>. "
        f"After trial {found.trial} that is {points(gap)} against the best control, "
        f"{escape(nearest)}.</p>"
    )


def _curves(summaries: Mapping[str, Summary], results: Results, trials: int) -> str:
    lines = {name: summary.by_trial for name, summary in summaries.items()}
    panels = []
    for size in SIZES:
        part: dict[str, list[Rate]] = {
            name: summarise(by[size], trials).by_trial for name, by in results.items()
        }
        drawn = chart.curves(part, 480, 260, f"Share solved by trial in {size} rooms")
        panels.append(f"<figure>{drawn}<figcaption>{size} rooms</figcaption></figure>")
    about: dict[str, str] = {name: TECHNIQUES[name].about for name in results}
    return (
        "<h2>Solved so far, by trial</h2><figure>"
        f"{chart.curves(lines, label='Share of tasks solved by trial')}"
        "<figcaption>All tasks; whiskers are 95 % Wilson intervals.</figcaption></figure>"
        "<p>What a further attempt has in view that the first had not:</p>"
        f"{chart.key(list(lines), about)}"
        f'<h2>By size of room</h2><div class="panels">{"".join(panels)}</div>'
    )


def _by_trial(summaries: Mapping[str, Summary]) -> str:
    count = max(len(summary.by_trial) for summary in summaries.values())
    rows = []
    for name, summary in summaries.items():
        cells = "".join(
            f"<td>{percent(share).replace(' (', '<small>(')}</small></td>"
            for share in summary.by_trial
        )
        own = ' class="own"' if name == LEARNER else ""
        rows.append(f"<tr{own}><td>{escape(name)}</td>{cells}</tr>")
    heads = "".join(f"<th>trial {trial}</th>" for trial in range(1, count + 1))
    return _table("The figures", f"<th>technique</th>{heads}", rows)


def _gaps(found: Figures) -> str:
    rows = [
        f"<tr><td>{escape(name)}</td><td>{escape(points(gap))}</td></tr>"
        for name, gap in found.differences.items()
    ]
    if found.rules and not found.released:
        rows.append(f"<tr><td>learned rules</td><td>{UNRELEASED}</td></tr>")
    elif found.rules:
        rows.append(
            "<tr><td>learned rules above none, on the first trial</td>"
            f"<td>{escape(points(found.rules))}</td></tr>"
        )
    head = f"<th>control</th><th>{LEARNER} above it, after trial {found.trial}</th>"
    return _table("Beyond chance?", head, rows) + (
        '<p class="soft">The same tasks for all, so differences are paired: bootstrap intervals, '
        "exact McNemar tests.</p>"
    )


def _families(own: Sequence[Finished], trials: int) -> str:
    first, last = summarise(own, 1).by_family, summarise(own, trials).by_family
    rows = [
        f"<tr><td>{escape(family)}</td><td>{last[family].total}</td>"
        f"<td>{escape(percent(first[family]))}</td><td>{escape(percent(last[family]))}</td></tr>"
        for family in last
    ]
    heads = f"<th>family</th><th>tasks</th><th>first trial</th><th>within {trials}</th>"
    return _table("By kind of task", heads, rows)


def _levels(curve: Curve) -> dict[str, Any]:
    return {
        "recorded": curve.levels,
        "rates": curve.rates,
        "differences": {name: gap._asdict() for name, gap in curve.differences.items()},
    }


def _exemplars(curve: Curve) -> str:
    lines = curve.rates
    drawn = chart.curves(
        lines,
        label="Share of tasks solved by recorded successes",
        axis="recorded successes",
        marks=curve.levels,
    )
    about: dict[str, str] = {name: each.about for name, each in TECHNIQUES.items()}
    about[NOTHING] = "nothing"
    gaps = [
        f"<tr><td>{escape(name)}</td><td>{escape(points(gap))}</td></tr>"
        for name, gap in curve.differences.items()
    ]
    head = f"<th>control</th><th>{next(iter(lines))} above it, at {curve.levels[-1]}</th>"
    return (
        f"<h2>Shown what worked before</h2><figure>{drawn}<figcaption>First attempts in small "
        "rooms, by how many solved training tasks are in memory; whiskers are 95 % Wilson "
        "intervals.</figcaption></figure><p>What an attempt has in view:</p>"
        f"{chart.key(list(lines), about)}{_table('Examples beyond chance?', head, gaps)}"
    )


def _arm(arm: Arm) -> dict[str, Any]:
    return {
        "rate": arm.share,
        "above_base": arm.above and arm.above._asdict(),
        "tuned": arm.tuned and arm.tuned._asdict(),
    }


def _weights(arms: Mapping[str, Arm]) -> str:
    rows, items = [], []
    for name, arm in arms.items():
        took = arm.tuned
        figures = (
            (f"{took.rows}", f"{took.steps}", f"{took.seconds:.0f} s", f"{took.memory_mb:,.0f} MB")
            if took
            else ("",) * 4
        )
        cells = (percent(arm.share), points(arm.above) if arm.above else "", *figures)
        rows.append(
            f"<tr><td>{escape(name)}</td>"
            f"{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}</tr>"
        )
        about = WAYS[name].about if name in WAYS else "the plain model"
        items.append(f"<li><strong>{escape(name)}</strong> {escape(about)}</li>")
    names = ("weights", "solved", "above the plain model", "rows", "steps", "trained in", "peak")
    heads = "".join(f"<th>{name}</th>" for name in names)
    return _table("Moved into the weights", heads, rows) + (
        '<p class="soft">First attempts at the same tasks with nothing in view. What was learned '
        "from: training tasks attempted with solved ones in view, without those; seconds and "
        f'memory are those of the training process.</p><ul class="key">{"".join(items)}</ul>'
    )


def _example(own: Sequence[Finished]) -> str:
    shown = example(own)
    if shown is None:
        return "<h2>An example</h2><p>No task was failed first and solved later.</p>"
    *failed, solved = shown.attempts
    parts = [f"<h2>An example</h2><p>{escape(shown.task.instruction.capitalize())}</p>"]
    for attempt, reflection in zip(failed, shown.reflections, strict=False):
        parts.append(_attempt(attempt, "failed"))
        parts.append(
            '<section class="attempt lesson"><h3>What it wrote to itself</h3>'
            f'<p class="episode">{escape(reflection.text)}</p></section>'
        )
    return "".join([*parts, _attempt(solved, "solved")])


def _attempt(attempt: Trajectory, ended: str) -> str:
    lines = []
    for message in attempt.messages:
        if message.type == "ai":
            spoken = escape(text_of(message)).replace("\n", "\n&gt; ")
            lines.append(f'<span class="agent">&gt; {spoken}</span>')
        elif message.type != "system":
            lines.append(escape(text_of(message)))
    feedback = escape(attempt.verdict.feedback)
    return (
        f'<section class="attempt {ended}"><h3>Trial {attempt.trial}: {ended}</h3>'
        f'<p class="episode">{chr(10).join(lines)}</p><p class="ended">{feedback}</p></section>'
    )


def _costs(summaries: Mapping[str, Summary]) -> str:
    rows = [
        f"<tr><td>{escape(name)}</td><td>{one.attempts}</td><td>{one.calls:,}</td>"
        f"<td>{one.tokens:,}</td><td>{one.seconds:,.1f}</td><td>{one.reflecting.calls:,}</td>"
        f"<td>{one.reflecting.tokens:,}</td><td>{one.reflecting.seconds:,.1f}</td></tr>"
        for name, one in summaries.items()
    ]
    names = (
        *("technique", "attempts", "model calls", "tokens", "seconds"),
        *("reflecting: calls", "tokens", "seconds"),
    )
    heads = "".join(f"<th>{name}</th>" for name in names)
    return _table("What it took", heads, rows) + (
        '<p class="soft">Acting, and beside it the writing of reflections; seconds are those the '
        "model took, summed over tasks that ran side by side.</p>"
    )


def _share(rate: Rate) -> str:
    return f"{100 * rate.value:.0f} %"


def _table(title: str, heads: str, rows: Sequence[str]) -> str:
    return (
        f'<h2>{title}</h2><div class="scroll"><table><thead><tr>{heads}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )
