"""Make a dataset from a file, or from the tool calls that ship, and export it.

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
from apprentice.training.datasets.card import Curated, Dataset, Example, load, save
from apprentice.training.datasets.curation import Curation, curate
from apprentice.training.datasets.demonstrations import drawn_calls, tool_calls
from apprentice.training.datasets.exports import to_huggingface, to_openai
from apprentice.training.datasets.files import Read, conversations, images, preferences, prompts
from apprentice.training.datasets.rows import Kind

_FILES: Final[dict[str, tuple[Kind, Callable[[Path], Read]]]] = {
    "preferences": ("dpo", preferences),
    "conversations": ("sft", conversations),
    "prompts": ("grpo", prompts),
    "images": ("vision", images),
}


def main(arguments: list[str] | None = None) -> int:
    """Do what is asked; print the dataset's folder, and on stderr what was left out."""
    options = _parser().parse_args(arguments)
    try:
        if options.what == "export":
            _export(load(options.folder), options)
            return 0
        made = _made(options)
        dataset = save(made, options.out)
    except ApprenticeError as error:
        print(error, file=sys.stderr)
        return 1
    print(dataset.folder)
    print(dataset.card.model_dump_json(indent=1, exclude={"sources"}), file=sys.stderr)
    return 0


def _made(options: argparse.Namespace) -> Curated:
    settings = Curation(cap=options.cap, share=options.share, seed=options.seed, stripped=False)
    if options.what == "toolcalls":
        return curate("sft", _demonstrated(options), settings)
    kind, read = _FILES[options.what]
    found = read(options.file)
    for refused in found.refused:
        print(f"{options.file}, line {refused.line}: {refused.reason}.", file=sys.stderr)
    left_out = {"refused": len(found.refused)} if found.refused else {}
    return curate(kind, found.examples, settings, left_out=left_out, files=found.files)


def _demonstrated(options: argparse.Namespace) -> list[Example]:
    wrong = options.shuffled
    return tool_calls(shuffled=wrong) + drawn_calls(options.drawn, shuffled=wrong)


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
        made = what.add_parser(name)
        if name == "toolcalls":
            made.add_argument("--shuffled", type=int, help="seed: a control with wrong answers")
            made.add_argument(
                "--drawn", type=int, default=0, help="conversations, tools drawn or mixed anew"
            )
        else:
            made.add_argument("file", type=Path)
        made.add_argument("--out", type=Path, default=Path("runs/datasets"), help="their folder")
        made.add_argument("--cap", type=int, default=8, help="rows that one task may have")
        made.add_argument("--share", type=float, default=0.1, help="of tasks, held out, about")
        made.add_argument("--seed", type=int, default=0, help="fixes which")
    export = what.add_parser("export")
    export.add_argument("folder", type=Path, help="the dataset's")
    export.add_argument("--openai", type=Path, help="write OpenAI's files into this folder")
    export.add_argument("--huggingface", type=Path, help="write a DatasetDict into this folder")
    return parser


if __name__ == "__main__":
    sys.exit(main())
