"""Import runs with feedback from a server that answers LangSmith's client."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import pytest
from langchain_core.load import dumpd
from langchain_core.messages import AIMessage, HumanMessage

from apprentice.memory.exchange.langsmith import project
from apprentice.memory.exchange.rows import read_row
from apprentice.memory.exchange.transfer import import_attempts
from apprentice.memory.experience.qdrant import QdrantExperience
from apprentice.state.errors import BadInput, MissingPart
from apprentice.state.trajectory import Trajectory, Usage, Verdict

PROJECT = str(UUID(int=9))
TALK = [{"role": "user", "content": "1 + 1?"}, {"role": "assistant", "content": "2"}]

ASKED, ANSWERED = dumpd(HumanMessage("1 + 1?")), dumpd(AIMessage("2"))


def run(number: int, inputs: Any, outputs: Any, **more: Any) -> dict[str, Any]:
    return {
        "id": str(UUID(int=number)),
        "name": "helper",
        "start_time": "2026-11-01T10:00:00",
        "end_time": "2026-11-01T10:00:02.5",
        "inputs": inputs,
        "outputs": outputs,
        "metadata": {"ls_model_name": "gpt-5-mini"},
        "prompt_tokens": 7,
        "completion_tokens": 3,
        **more,
    }


def feedback(number: int, key: str, score: Any, day: int = 1, **more: Any) -> dict[str, Any]:
    return {
        "id": str(UUID(int=100 * number + day)),
        "created_at": "2026-11-01T00:00:00",
        "modified_at": f"2026-11-{day:02}T00:00:00",
        "run_id": str(UUID(int=number)),
        "trace_id": str(UUID(int=number)),
        "key": key,
        "score": score,
        **more,
    }


class Service(BaseHTTPRequestHandler):
    """A server with one project: it returns pages of two runs, and the feedback on them."""

    runs: ClassVar[list[dict[str, Any]]] = []
    feedback: ClassVar[list[dict[str, Any]]] = []
    broken: ClassVar[bool] = False

    def do_GET(self) -> None:
        path, query = urlsplit(self.path).path, parse_qs(urlsplit(self.path).query)
        if path == "/info":
            self._answer({"version": "0.16.0"})
        elif self.headers.get("x-api-key") != "key":
            self._answer({"detail": "Invalid token"}, 401)
        elif path == "/sessions":
            named = query["name"] == ["helpdesk"]
            project = {"id": PROJECT, "name": "helpdesk", "tenant_id": PROJECT}
            self._answer(
                [{**project, "start_time": "2026-11-01T00:00:00", "reference_dataset_id": None}]
                if named
                else []
            )
        elif path == "/feedback":
            asked = [each for each in self.feedback if each["run_id"] in query["run"]]
            self._answer(asked[int(query["offset"][0]) :])

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        assert (self.path, body["project_ids"]) == ("/api/v2/runs/query", [PROJECT])
        assert (body["is_root"], self.headers["x-api-key"]) == (True, "key")
        if self.broken:
            self._answer({"detail": "Not now"}, 422)
            return
        start = int(body.get("cursor", 0))
        following = str(start + 2) if start + 2 < len(self.runs) else None
        self._answer({"items": self.runs[start : start + 2], "next_cursor": following})

    def _answer(self, value: Any, status: int = 200) -> None:
        content = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Service]]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Service)
    Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    monkeypatch.setenv("LANGSMITH_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("LANGSMITH_API_KEY", "key")
    Service.runs, Service.feedback, Service.broken = [], [], False
    yield Service
    server.shutdown()
    server.server_close()


async def read(key: str = "") -> list[Trajectory]:
    return [read_row(item.row, "team").trajectory async for item in project("helpdesk", key)]


@pytest.mark.parametrize(
    ("inputs", "outputs"),
    [
        ({"messages": TALK[:1]}, {"messages": TALK}),
        ({"messages": TALK[:1]}, {"messages": TALK[1:]}),
        ({"messages": TALK[:1]}, {"messages": [ASKED, TALK[1]]}),
        ({"messages": [[ASKED]]}, {"generations": [[{"text": "2", "message": ANSWERED}]]}),
        ({"messages": TALK[:1]}, {"choices": [{"message": TALK[1]}]}),
        ({"input": {"messages": TALK[:1]}}, {"output": TALK[1]}),
        ({"question": "1 + 1?"}, {"answer": "2"}),
        ({"x": "1 + 1?"}, {"y": "2"}),
    ],
    ids=["state", "reply", "forms", "langchain", "openai", "nested", "texts", "any"],
)  # fmt: skip
async def test_a_conversation_is_read_from_any_known_field(
    service: type[Service], inputs: Any, outputs: Any
) -> None:
    service.runs = [run(1, inputs, outputs)]
    (attempt,) = await read()
    assert [(message.type, message.text) for message in attempt.messages] == [
        ("human", "1 + 1?"),
        ("ai", "2"),
    ]
    assert attempt.id == str(UUID(int=1))
    assert (attempt.model, attempt.task.environment) == ("gpt-5-mini", "langsmith/helpdesk")
    assert attempt.usage == Usage(input_tokens=7, output_tokens=3, seconds=2.5)
    assert attempt.verdict == Verdict()


@pytest.mark.parametrize(
    ("given", "key", "verdict"),
    [
        ([("ok", 1)], "", Verdict(success=True, score=1, source="late")),
        ([("ok", 0)], "", Verdict(success=False, score=0, source="late")),
        ([("ok", True)], "", Verdict(success=True, score=1, source="late")),
        ([("ok", 0.4)], "", Verdict(score=0.4, source="late")),
        ([("ok", 0), ("ok", 1)], "", Verdict(success=True, score=1, source="late")),
        ([("ok", 1), ("kind", 0)], "ok", Verdict(success=True, score=1, source="late")),
        ([("ok", 1), ("kind", 0)], "", Verdict(feedback="ok: 1\nkind: 0")),
        ([("stars", 4)], "", Verdict(feedback="stars: 4", source="late")),
        ([("kind", 0)], "ok", Verdict()),
    ],
)
async def test_feedback_becomes_a_verdict_without_guesses(
    service: type[Service], given: Any, key: str, verdict: Verdict
) -> None:
    service.runs = [run(1, {"messages": TALK[:1]}, {"messages": TALK})]
    service.feedback = [feedback(1, key_, score, day) for day, (key_, score) in enumerate(given, 1)]
    service.feedback.reverse()
    (attempt,) = await read(key)
    assert attempt.verdict == verdict


async def test_the_source_and_text_of_feedback_are_stored(service: type[Service]) -> None:
    service.runs = [run(1, {"messages": TALK[:1]}, {"messages": TALK})]
    source = {"type": "app", "metadata": {}}
    service.feedback = [feedback(1, "ok", 0, comment="It is 10.", feedback_source=source)]
    (attempt,) = await read()
    verdict = Verdict(success=False, score=0, feedback="It is 10.", source="human")
    assert attempt.verdict == verdict


async def test_every_run_is_imported_or_refused(
    service: type[Service], memory: QdrantExperience
) -> None:
    service.runs = [run(n, {"messages": TALK[:1]}, {"messages": TALK}) for n in range(1, 5)]
    service.runs.append(run(5, {"numbers": [1, 1]}, None, error="Boom"))
    service.feedback = [feedback(n, "ok", 1) for n in (1, 4)]
    report = await import_attempts(memory, project("helpdesk"))
    assert (report.rows, report.new, report.without_verdict) == (5, 4, 2)
    (refusal,) = report.refusals
    assert refusal.where == f"run {UUID(int=5)}"
    assert refusal.reason == "Its inputs (numbers) and outputs (none) hold no conversation."
    service.feedback.append(feedback(2, "ok", 0))
    again = await import_attempts(memory, project("helpdesk"))
    assert (again.duplicates, again.verdicts_added, again.new) == (4, 1, 0)
    assert [item.where async for item in project("helpdesk", limit=3)] == [
        f"run {UUID(int=number)}" for number in (1, 2, 3)
    ]


async def test_each_failure_of_the_service_names_a_remedy(
    service: type[Service], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def said(name: str = "helpdesk") -> str:
        with pytest.raises((BadInput, MissingPart)) as raised:
            [item async for item in project(name)]
        return str(raised.value)

    assert "has no project 'helpdeks'" in await said("helpdeks")
    service.broken = True
    assert "refused with status 422" in await said()
    monkeypatch.setenv("LANGSMITH_API_KEY", "other")
    assert "Set LANGSMITH_API_KEY" in await said()
    monkeypatch.setenv("LANGSMITH_ENDPOINT", "http://127.0.0.1:9")
    assert await said() == (
        "LangSmith cannot be reached at http://127.0.0.1:9. Check the network and, if your "
        "LangSmith is elsewhere, LANGSMITH_ENDPOINT."
    )
    monkeypatch.setenv("LANGSMITH_ENDPOINT", "ftp://nowhere")
    assert "LANGSMITH_ENDPOINT is 'ftp://nowhere'" in await said()
