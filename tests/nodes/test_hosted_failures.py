"""A hosted model's API that misbehaves: a real server on this machine, one sentence a fault."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from langchain_core.messages import HumanMessage

from apprentice.models import providers
from apprentice.nodes.agents import ask
from apprentice.state.context import Context
from apprentice.state.errors import ModelFailure, ModelUnavailable
from apprentice.workspace import Workspace

Misbehave = Callable[..., None]
NO_CHOICES = {"id": "1", "object": "chat.completion", "created": 0, "model": "m", "choices": []}


class Api(ThreadingHTTPServer):
    """What the next requests are answered with, and how many there were."""

    status = 200
    body = b""
    asked = 0
    silent = threading.Event()  # set, requests are answered


class Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        api: Any = self.server
        api.asked += 1
        self.rfile.read(int(self.headers["Content-Length"]))
        if not api.silent.wait(timeout=300) or not api.body:
            return  # hangs up without a word
        self.send_response(api.status)
        self.send_header(
            "Content-Type", "application/json" if api.body[:1] == b"{" else "text/html"
        )
        self.send_header("retry-after-ms", "1")  # the client's own retries need not wait
        self.end_headers()
        self.wfile.write(api.body)

    def log_message(self, *_: Any) -> None:
        """Keep the test's output clean."""


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    """Run a server in the place of OpenAI's."""
    providers._chat.cache_clear()
    listening = Api(("127.0.0.1", 0), Handler)
    listening.daemon_threads = True
    listening.silent = threading.Event()
    listening.silent.set()
    thread = threading.Thread(target=listening.serve_forever)
    thread.start()
    monkeypatch.setenv("OPENAI_BASE_URL", f"http://127.0.0.1:{listening.server_port}/v1")
    monkeypatch.setenv("OPENAI_API_KEY", "any")
    yield listening
    listening.silent.set()
    listening.shutdown()
    thread.join()
    listening.server_close()


async def failure(workspace: Workspace) -> ModelFailure:
    """Ask once; return how it failed, having checked that it is a sentence that names the model."""
    with pytest.raises(ModelFailure) as caught:
        await ask(None, [HumanMessage("What now?")], Context(model="openai:m"), workspace)
    said = str(caught.value)
    assert said.startswith("The model 'openai:m' ")
    assert said.endswith(".")
    assert "\n" not in said
    assert "Traceback" not in said
    return caught.value


def fault(message: str, **more: Any) -> dict[str, Any]:
    return {"error": {"message": message, "type": "x", **more}}


@pytest.mark.parametrize(
    ("status", "body", "later", "said"),
    [
        (401, fault("Incorrect API key provided"), False, "Check the provider's key"),
        (403, fault("Country not supported"), False, "Check the provider's key"),
        (404, fault("The model `m` does not exist"), False, "Check the model's name"),
        (400, fault("Unsupported value: temperature"), False, "accepts this temperature"),
        (429, fault("Rate limit reached"), True, "run fewer tasks at once"),
        (500, fault("The server had an error"), True, "The provider reports a fault of its own"),
        (502, "<html>Bad gateway</html>", True, "The provider reports a fault of its own"),
        (200, "<html>Welcome to nginx</html>", False, "not a chat message"),
        (200, {}, False, "not a chat message"),
        (200, NO_CHOICES, False, "not a chat message"),
        (200, '{"id": ', False, "not a chat message"),
    ],
)
async def test_a_fault_is_a_sentence_that_says_what_to_do(
    status: int, body: Any, later: bool, said: str, api: Api, workspace: Workspace
) -> None:
    api.status = status
    api.body = (body if isinstance(body, str) else json.dumps(body)).encode()
    error = await failure(workspace)
    assert isinstance(error, ModelUnavailable) is later
    assert said in str(error)
    if isinstance(body, dict) and "error" in body:
        assert body["error"]["message"] in str(error)
    assert api.asked == (3 if later else 1)  # what will not change is not asked again


async def test_a_provider_that_hangs_up_or_is_not_there_can_be_asked_later(
    api: Api, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    hung_up = await failure(workspace)
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")  # nobody listens there
    providers._chat.cache_clear()
    absent = await failure(workspace)
    for error in (hung_up, absent):
        assert isinstance(error, ModelUnavailable)
        assert "check the network, and OPENAI_BASE_URL" in str(error)


async def test_a_provider_that_says_nothing_is_not_waited_for_without_end(
    api: Api, workspace: Workspace
) -> None:
    api.silent.clear()
    workspace.patience = 0.3
    error = await failure(workspace)
    assert isinstance(error, ModelUnavailable)
    assert "took too long" in str(error)
