"""Make a dataset from a file or from the bundled tool calls, and export it.

python -m apprentice.training.datasets toolcalls --drawn 2000 --out runs/datasets
python -m apprentice.training.datasets preferences examples/helpdesk/tone.jsonl --out runs/datasets
python -m apprentice.training.datasets export runs/datasets/dpo-0123456789abcdef --openai openai
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from apprentice.state.errors import ApprenticeError
from apprentice.training.datasets.card import Dataset, Example, Selection, load, save
from apprentice.training.datasets.curation import Curation, curate
from apprentice.training.datasets.demonstrations import sampled_calls, tool_calls
from apprentice.training.datasets.exports import to_huggingface, to_openai
from apprentice.training.datasets.files import (
    FileExamples,
    conversations,
    images,
    preferences,
    prompts,
)
from apprentice.training.datasets.rows import Kind

_FILES: Final[dict[str, tuple[Kind, Callable[[Path], FileExamples]]]] = {
    "preferences": ("dpo", preferences),
    "conversations": ("sft", conversations),
    "prompts": ("grpo", prompts),
    "images": ("vision", images),
}


def main(arguments: list[str] | None = None) -> int:
    """Run the command; print the dataset's folder, and its card on stderr."""
    options = _parser().parse_args(arguments)
    try:
        if options.what == "export":
            _export(load(options.folder), options)
            return 0
        selection = _select(options)
        dataset = save(selection, options.out)
    except ApprenticeError as error:
        print(error, file=sys.stderr)
        return 1
    print(dataset.folder)
    print(dataset.card.model_dump_json(indent=1, exclude={"sources"}), file=sys.stderr)
    return 0


def _select(options: argparse.Namespace) -> Selection:
    settings = Curation(cap=options.cap, share=options.share, seed=options.seed, stripped=False)
    if options.what == "toolcalls":
        return curate("sft", _demonstrations(options), settings)
    kind, read = _FILES[options.what]
    contents = read(options.file)
    for refusal in contents.refusals:
        print(f"{options.file}, line {refusal.line}: {refusal.reason}.", file=sys.stderr)
    left_out = {"refused": len(contents.refusals)} if contents.refusals else {}
    return curate(kind, contents.examples, settings, left_out=left_out, files=contents.files)


def _demonstrations(options: argparse.Namespace) -> list[Example]:
    wrong = options.shuffled
    return tool_calls(shuffle_seed=wrong) + sampled_calls(options.drawn, shuffle_seed=wrong)


def _export(dataset: Dataset, options: argparse.Namespace) -> None:
    if options.openai:
        print(*to_openai(dataset, options.openai), sep="\n")
    if options.huggingface:
        to_huggingface(dataset, options.huggingface)
        print(options.huggingface)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m apprentice.training.datasets",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    what = parser.add_subparsers(dest="what", required=True)
    for name in ("toolcalls", *_FILES):
        command = what.add_parser(name)
        if name == "toolcalls":
            command.add_argument(
                "--shuffled",
                type=int,
                help="make a control with wrong answers, shuffled with this seed",
            )
            command.add_argument(
                "--drawn",
                type=int,
                default=0,
                help="how many conversations with sampled tools to add",
            )
        else:
            command.add_argument("file", type=Path)
        command.add_argument(
            "--out", type=Path, default=Path("runs/datasets"), help="where datasets go"
        )
        command.add_argument("--cap", type=int, default=8, help="most rows of one task")
        command.add_argument("--share", type=float, default=0.1, help="share of tasks to hold out")
        command.add_argument("--seed", type=int, default=0, help="seed of the split")
    export = what.add_parser("export")
    export.add_argument("folder", type=Path, help="the dataset's folder")
    export.add_argument("--openai", type=Path, help="write files for OpenAI to this folder")
    export.add_argument("--huggingface", type=Path, help="write a DatasetDict to this folder")
    return parser


if __name__ == "__main__":
    sys.exit(main())
