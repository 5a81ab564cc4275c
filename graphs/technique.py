"""Technique: what all graphs have in common when they are compiled, called and served.

A technique's nodes are async, and its context is `Context`. A caller who does otherwise gets an
error with a sentence; LangGraph itself would raise a TypeError or ignore the mistake.
"""

# Annotations are not deferred here: the server reads those of `__call__` as they are.

from collections.abc import AsyncIterator
from typing import Any, Final, NoReturn, Self

from langchain_core.runnables import RunnableConfig
from langgraph.graph import StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.typing import InputT, OutputT, StateT
from langgraph_sdk.runtime import ServerRuntime

from apprentice.state.context import Context, check_names
from apprentice.state.errors import BadInput, UnknownName

_NODE: Final = "langgraph_node"
_PARENT: Final = "__pregel_read"
"""What a graph finds in its configuration when it runs as a node of another one."""
_RESERVED: Final = frozenset(
    {"assistant_id", "checkpoint_id", "checkpoint_map", "checkpoint_ns", "cron_id", "graph_id"}
    | {"run_id", "thread_id", "thread_ts", "user_id"}
)
"""Names that LangGraph and its server add to the settings of a run."""
_RESERVED_PREFIXES: Final = ("__", "langgraph_", "x-")


class CompiledTechnique(CompiledStateGraph[StateT, Context, InputT, OutputT]):
    """A compiled graph that tells its callers in a sentence how to call it."""

    def __call__(self, runtime: ServerRuntime[Any], config: RunnableConfig) -> Self:
        """Return the graph for a run on LangGraph's server, which treats it as a factory.

        Only a factory sees the context as the caller sent it: the server removes unknown names
        before the graph runs. A graph that is a node of another graph has that graph's
        configuration, so it is not checked.

        The runtime is the first parameter, because LangGraph infers a node's input type from the
        first parameter.

        Raises:
            UnknownName: the context names a setting that does not exist.
        """
        run = runtime.execution_runtime
        if run and isinstance(run.context, dict) and _NODE not in config.get("metadata", {}):
            check_names(name for name in run.context if not _is_reserved(name))
        return self

    async def astream(
        self, input: Any, config: RunnableConfig | None = None, **kwargs: Any
    ) -> AsyncIterator[Any]:
        """Run the graph; takes what `CompiledStateGraph.astream` takes, as does `ainvoke`.

        LangGraph ignores names in the input that the graph does not know. A graph that is a node
        of another graph gets that graph's whole state, so its input is not checked.

        Raises:
            UnknownName: the input has a name that does not exist.
        """
        if isinstance(input, dict) and _PARENT not in (config or {}).get("configurable", {}):
            fields = self.builder.input_schema.__annotations__
            for name in input:
                if name not in fields:
                    raise UnknownName(f"input of {self.name}", str(name), fields)
        async for part in super().astream(input, config, **kwargs):
            yield part

    def invoke(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Raise BadInput: the nodes are async."""
        raise _only_async(self.name, "ainvoke")

    def stream(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Raise BadInput: the nodes are async."""
        raise _only_async(self.name, "astream")


class Technique(StateGraph[StateT, Context, InputT, OutputT]):
    """A StateGraph that compiles to a `CompiledTechnique`."""

    def compile(self, *args: Any, **kwargs: Any) -> CompiledTechnique[StateT, InputT, OutputT]:
        """Compile the graph; takes what `StateGraph.compile` takes."""
        attributes = vars(super().compile(*args, **kwargs))
        technique = CompiledTechnique[StateT, InputT, OutputT](**attributes)
        # LangGraph sets some attributes after the construction, such as the types that a
        # checkpoint may hold.
        vars(technique).update(attributes)
        return technique


def _is_reserved(name: str) -> bool:
    return name in _RESERVED or name.startswith(_RESERVED_PREFIXES)


def _only_async(name: str, instead: str) -> BadInput:
    return BadInput(
        f"The graph {name!r} is asynchronous. Call it with `await graph.{instead}(...)`, or "
        f"outside async code with `asyncio.run(graph.ainvoke(...))`."
    )
