"""Two local models load at the same time."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

BOTH = """
import asyncio
from tests.served import SHIPPED

async def main():
    said, vector = await asyncio.gather(
        SHIPPED.chat("local:novice", max_tokens=1).ainvoke("Hello."),
        SHIPPED.embeddings("local:minilm").aembed_query("Hello."),
    )
    print(said.type, len(vector))

asyncio.run(main())
"""


def test_a_chat_and_an_embedding_model_load_at_once(root: Path) -> None:
    done = subprocess.run([sys.executable, "-c", BOTH], cwd=root, capture_output=True, text=True)
    assert done.stdout.split() == ["ai", "384"], done.stderr
