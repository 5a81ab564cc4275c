"""The report of `apprentice learn`: one self-contained HTML file, and the same as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, Final, NamedTuple

from apprentice.cli.demo import chart, page
from apprentice.cli.demo.exemplars import NOTHING
from apprentice.cli.demo.fine_tuner import RECIPES
from apprentice.cli.demo.reflexion import (
    CONTROLS,
    LEARNER,
    SIZES,
    STUDENT,
    Demo,
    Results,
    example,
    pool_sizes,
)
from apprentice.cli.demo.rules import ABOUT, LEARNED
from apprentice.cli.evaluation import rows
from apprentice.cli.journal import TaskResult
from apprentice.cli.summary import Arm, Curve, Summary, Worlds, compare, summarise
from apprentice.cli.techniques import TECHNIQUES
from apprentice.cli.terminal import NOT_RELEASED, percent, points
from apprentice.state.statistics import Difference, Rate
from apprentice.state.trajectory import SCHEMA_VERSION, Trajectory, text_of

JUDGED_AT: Final = 3  # the trial after which techniques are compared
UNRELEASED: Final = "none passed the gate on held-out tasks, so expel's attempts had none in view"


class Figures(NamedTuple):
    """The figures of all experiments.

    Attributes:
        summaries: technique -> its figures, the learner's first.
        trial: the trial after which techniques are compared.
        differences: control -> the learner minus the control.
        exemplars: success by the number of exemplars; None if not measured.
        rules: learned rules alone minus none, on one trial; None if no rules were learned.
        rules_released: whether a learned rule passed the gate and was in view.
        weights: success with each set of weights; empty without fine-tunes.
        worlds: success with each kind of rules in two worlds; None if no rules were learned.
    """

    summaries: dict[str, Summary]
    trial: int
    differences: dict[str, Difference]
    exemplars: Curve | None = None
    rules: Difference | None = None
    rules_released: bool = False
    weights: Mapping[str, Arm] = {}
    worlds: Worlds | None = None


def figures(
    demo: Demo,
    results: Results,
    exemplars: Curve | None = None,
    weights: Mapping[str, Arm] | None = None,
    worlds: Worlds | None = None,
) -> Figures:
    """Return the figures of all sizes of room together."""
    every = pool_sizes(results)
    trial = min(JUDGED_AT, demo.trials)
    return Figures(
        {name: summarise(task_results, demo.trials) for name, task_results in every.items()},
        trial,
        {name: compare(every[LEARNER], every[name], trial) for name in CONTROLS},
        exemplars,
        compare(every[STUDENT], every["none"], 1) if STUDENT in every else None,
        any(
            each.in_view.rules
            for task_results in every.get(STUDENT, ())
            for each in task_results.attempts
        ),
        weights or {},
        worlds,
    )


def as_json(demo: Demo, results: Results, figures: Figures) -> dict[str, Any]:
    """Return the report as JSON data, with one row for each attempt."""
    return {
        "schema_version": SCHEMA_VERSION,
        "lesson": {
            "world": demo.world,
            "tasks": demo.tasks,
            "trials": demo.trials,
            "model": demo.model,
            "seed": demo.seed,
            "max_tokens": demo.max_tokens,
        },
        "summaries": {name: one.model_dump() for name, one in figures.summaries.items()},
        "compared_after_trial": figures.trial,
        "rules_above_none": figures.rules._asdict() if figures.rules else None,
        "rules_released": figures.rules_released,
        "differences": {name: gap._asdict() for name, gap in figures.differences.items()},
        "worlds": figures.worlds and _worlds_as_json(figures.worlds),
        "exemplars": figures.exemplars and _levels(figures.exemplars),
        "weights": {name: _arm(arm) for name, arm in figures.weights.items()},
        "rows": {
            name: [row.model_dump() for row in rows(task_results, demo.workspace)]
            for name, task_results in pool_sizes(results).items()
        },
    }


def as_html(demo: Demo, results: Results, figures: Figures) -> str:
    """Return the report as an HTML page."""
    own = pool_sizes(results)[LEARNER]
    return page.document(
        "An agent that learns from its failures",
        [
            _head(demo, figures),
            _curves(figures.summaries, results, demo.trials),
            _by_trial(figures.summaries),
            _gaps(figures),
            _families(own, demo.trials),
            _rules(figures.worlds) if figures.worlds else "",
            _exemplars(figures.exemplars) if figures.exemplars else "",
            _weights(figures.weights) if figures.weights else "",
            _example(own),
            _costs(figures.summaries),
        ],
    )


def _head(demo: Demo, figures: Figures) -> str:
    own, tasks = figures.summaries[LEARNER].by_trial, figures.summaries[LEARNER].tasks
    nearest, gap = min(figures.differences.items(), key=lambda each: each[1].value)
    return (
        "<h1>An agent that learns from its failures</h1>"
        f'<p class="soft">{escape(demo.model)} on {tasks} household tasks it '
        f"has never seen, in the world “{escape(demo.world)}” · {demo.trials} trials · "
        f"seed {demo.seed}</p>"
        f'<p class="lead">On the first trial it solved <strong>{page.share(own[0])}</strong> of '
        "the tasks. After each failure it wrote a reflection, and tried again with the reflection "
        f"in view. Within {demo.trials} trials it solved "
        f"<strong>{page.share(own[-1])}</strong>. After trial {figures.trial} the difference to "
        f"the best control, {escape(nearest)}, is {points(gap)}.</p>"
    )


def _curves(summaries: Mapping[str, Summary], results: Results, trials: int) -> str:
    lines = {name: summary.by_trial for name, summary in summaries.items()}
    panels = []
    for size in SIZES:
        part: dict[str, list[Rate]] = {
            name: summarise(by[size], trials).by_trial for name, by in results.items()
        }
        svg = chart.curves(part, 480, 260, f"Share solved by trial in {size} rooms")
        panels.append(f"<figure>{svg}<figcaption>{size} rooms</figcaption></figure>")
    about: dict[str, str] = {name: TECHNIQUES[name].about for name in results}
    return (
        "<h2>Solved so far, by trial</h2><figure>"
        f"{chart.curves(lines, label='Share of tasks solved by trial')}"
        "<figcaption>All tasks; whiskers are 95 % Wilson intervals.</figcaption></figure>"
        "<p>What a further attempt has in view in addition:</p>"
        f"{chart.key(list(lines), about)}"
        f'<h2>By size of room</h2><div class="panels">{"".join(panels)}</div>'
    )


def _by_trial(summaries: Mapping[str, Summary]) -> str:
    count = max(len(summary.by_trial) for summary in summaries.values())
    rows = [
        page.row(
            [escape(name), *(page.interval(percent(share)) for share in summary.by_trial)],
            own=name == LEARNER,
        )
        for name, summary in summaries.items()
    ]
    trials = [f"trial {trial}" for trial in range(1, count + 1)]
    return page.table("The figures", ["technique", *trials], rows)


def _gaps(figures: Figures) -> str:
    rows = page.gaps(figures.differences)
    if figures.rules and not figures.rules_released:
        rows.append(page.sentence_row("learned rules", UNRELEASED))
    elif figures.rules:
        rows += page.gaps({"learned rules above none, on the first trial": figures.rules})
    heads = ["control", f"{LEARNER} above it, after trial {figures.trial}"]
    return page.table("Beyond chance?", heads, rows) + (
        '<p class="soft">All have the same tasks, so the differences are paired: bootstrap '
        "intervals and exact McNemar tests.</p>"
    )


def _families(own: Sequence[TaskResult], trials: int) -> str:
    first, last = summarise(own, 1).by_family, summarise(own, trials).by_family
    rows = [
        page.row(
            [
                escape(family),
                f"{share.total}",
                *(page.interval(percent(each)) for each in (first[family], share)),
            ]
        )
        for family, share in last.items()
    ]
    heads = ["family", "tasks", "first trial", f"within {trials}"]
    return page.table("By kind of task", heads, rows)


def _worlds_as_json(worlds: Worlds) -> dict[str, Any]:
    return {
        "learned": worlds.released_rules,
        "kinds": {
            kind: {
                "rates": one.rates,
                "share": one.share,
                "above_none": one.above and one.above._asdict(),
            }
            for kind, one in worlds.kinds.items()
        },
        "differences": {name: gap._asdict() for name, gap in worlds.differences.items()},
    }


def _rules(worlds: Worlds) -> str:
    rows = []
    for kind, arm in worlds.kinds.items():
        rates = [arm.rates.get(world) for world in worlds.released_rules]
        cells = [page.interval(percent(rate)) if rate else NOT_RELEASED for rate in rates]
        both = page.interval(percent(arm.share)) if arm.share and all(rates) else ""
        above = page.interval(points(arm.above)) if arm.above else ""
        rows.append(page.row([escape(kind), *cells, both, above], own=kind == LEARNED))
    heads = ["rules in view", *worlds.released_rules, "both worlds", "above none"]
    panels = []
    for world, rules in worlds.released_rules.items():
        items = "".join(f"<li>{escape(text)}</li>" for text in rules)
        content = f"<ol>{items}</ol>" if rules else '<p class="soft">None passed the gate.</p>'
        panels.append(f"<section><h3>Learned in {escape(world)}</h3>{content}</section>")
    against = page.gaps({f"{name} rules": gap for name, gap in worlds.differences.items()})
    return (
        page.table("Rules, in two worlds of opposite conventions", heads, rows)
        + '<p class="soft">First attempts in small rooms, on the same tasks for every kind of '
        "rules. Learned rules are shown after they pass a gate on other held-out tasks. The last "
        "column has the tasks of the worlds that have such rules.</p>"
        + page.notes(ABOUT)
        + page.table("Rules beyond chance?", ["other rules", "learned rules above them"], against)
        + f'<div class="panels">{"".join(panels)}</div>'
    )


def _levels(curve: Curve) -> dict[str, Any]:
    return {
        "recorded": curve.levels,
        "rates": curve.rates,
        "differences": {name: gap._asdict() for name, gap in curve.differences.items()},
    }


def _exemplars(curve: Curve) -> str:
    lines = curve.rates
    svg = chart.curves(
        lines,
        label="Share of tasks solved by recorded successes",
        axis="recorded successes",
        marks=curve.levels,
    )
    about: dict[str, str] = {name: each.about for name, each in TECHNIQUES.items()}
    about[NOTHING] = "nothing"
    heads = ["control", f"{next(iter(lines))} above it, at {curve.levels[-1]}"]
    gaps = page.table("Examples beyond chance?", heads, page.gaps(curve.differences))
    return (
        f"<h2>Shown what worked before</h2><figure>{svg}<figcaption>First attempts in small "
        "rooms, by how many solved training tasks are in memory; whiskers are 95 % Wilson "
        "intervals.</figcaption></figure><p>What an attempt has in view:</p>"
        f"{chart.key(list(lines), about)}{gaps}"
    )


def _arm(arm: Arm) -> dict[str, Any]:
    return {
        "rate": arm.share,
        "above_base": arm.above and arm.above._asdict(),
        "tuned": arm.fine_tune and arm.fine_tune._asdict(),
    }


def _weights(arms: Mapping[str, Arm]) -> str:
    rows, about = [], {}
    for name, arm in arms.items():
        took = arm.fine_tune
        figures = (
            (f"{took.rows}", f"{took.steps}", f"{took.seconds:.0f} s", f"{took.memory_mb:,.0f} MB")
            if took
            else ("",) * 4
        )
        above = page.interval(points(arm.above)) if arm.above else ""
        rows.append(page.row([escape(name), page.interval(percent(arm.share)), above, *figures]))
        about[name] = RECIPES[name].about if name in RECIPES else "the plain model"
    heads = ("weights", "solved", "above the plain model", "rows", "steps", "trained in", "peak")
    return page.table("Moved into the weights", heads, rows) + (
        '<p class="soft">First attempts at the same tasks with nothing in view. SFT learned '
        "from training tasks that were attempted with exemplars in view; the exemplars were "
        "removed. DPO and GRPO learned from its own attempts at further training tasks. Seconds "
        f"and memory are those of the training process.</p>{page.notes(about)}"
    )


def _example(own: Sequence[TaskResult]) -> str:
    result = example(own)
    if result is None:
        return "<h2>An example</h2><p>No task failed first and was solved later.</p>"
    *failures, success = result.attempts
    parts = [f"<h2>An example</h2><p>{escape(result.task.instruction.capitalize())}</p>"]
    for attempt, reflection in zip(failures, result.reflections, strict=False):
        parts.append(_attempt(attempt, "failed"))
        parts.append(
            '<section class="attempt reflection"><h3>Its reflection</h3>'
            f'<p class="episode">{escape(reflection.text)}</p></section>'
        )
    return "".join([*parts, _attempt(success, "solved")])


def _attempt(attempt: Trajectory, outcome: str) -> str:
    lines = []
    for message in attempt.messages:
        if message.type == "ai":
            turn = escape(text_of(message)).replace("\n", "\n&gt; ")
            lines.append(f'<span class="agent">&gt; {turn}</span>')
        elif message.type != "system":
            lines.append(escape(text_of(message)))
    feedback = escape(attempt.verdict.feedback)
    return (
        f'<section class="attempt {outcome}"><h3>Trial {attempt.trial}: {outcome}</h3>'
        f'<p class="episode">{chr(10).join(lines)}</p><p class="ended">{feedback}</p></section>'
    )


def _costs(summaries: Mapping[str, Summary]) -> str:
    rows = []
    for name, one in summaries.items():
        reflections = one.reflection_usage
        attempt_cells = [
            f"{one.attempts}",
            f"{one.calls:,}",
            f"{one.tokens:,}",
            f"{one.seconds:,.1f}",
        ]
        reflection_cells = [
            f"{reflections.calls:,}",
            f"{reflections.tokens:,}",
            f"{reflections.seconds:,.1f}",
        ]
        rows.append(page.row([escape(name), *attempt_cells, *reflection_cells]))
    heads = (
        *("technique", "attempts", "model calls", "tokens", "seconds"),
        *("reflecting: calls", "tokens", "seconds"),
    )
    return page.table("What it took", heads, rows) + (
        '<p class="soft">The attempts, and then the writing of reflections. Seconds are the '
        "model's time, summed over parallel tasks.</p>"
    )
