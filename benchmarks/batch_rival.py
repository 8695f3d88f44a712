"""``python -m benchmarks.batch_rival ROWS CHECKPOINT``: the rows of a file by async-batch-llm."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from async_batch_llm import (
    ArtifactIdentity,
    CallableStrategy,
    CallOutcome,
    JsonlArtifactStore,
    ProcessorConfig,
    ResumePolicy,
    process_stream,
)
from openai import AsyncOpenAI

from benchmarks.batch import CONCURRENCY
from sandbox.outside.openai_wire import MODEL

if TYPE_CHECKING:
    from collections.abc import Iterator

_INSTRUCTIONS = "Summarise the meeting: its points, its tasks and its decisions."


async def answer(file: Path, checkpoint: Path) -> None:
    """Answer each row of *file*, and write the answers beside *checkpoint*, in the order of their ends."""
    client, identity = AsyncOpenAI(), ArtifactIdentity(provider="stand-in", model=MODEL)

    async def call(prompt: str, **attempt: Any) -> CallOutcome[str]:
        found = await client.responses.create(
            model=MODEL, instructions=_INSTRUCTIONS, input=prompt, timeout=attempt["timeout"]
        )
        return CallOutcome(found.output_text, token_usage=_usage(found.usage))

    results = process_stream(
        CallableStrategy(call, identity=identity),
        _rows(file),
        config=ProcessorConfig(concurrency=CONCURRENCY, max_queue_size=1000, max_result_queue_size=1000),
        artifact_store=JsonlArtifactStore(checkpoint, identity=identity),
        resume=ResumePolicy.REUSE_SUCCESSES,
    )
    with checkpoint.with_suffix(".out").open("w") as out:
        async for result in results:
            if not result.success:
                raise RuntimeError(f"{result.item_id}: {result.error}")
            out.write(json.dumps({"id": result.item_id, "result": result.output}) + "\n")


def _rows(file: Path) -> Iterator[tuple[str, str]]:
    with file.open() as lines:
        for line in lines:
            row = json.loads(line)
            yield row["meeting_id"], row["transcript"]


def _usage(usage: Any) -> Any:
    counts = usage.input_tokens, usage.output_tokens, usage.total_tokens
    return dict(zip(("input_tokens", "output_tokens", "total_tokens"), counts, strict=True))


if __name__ == "__main__":
    asyncio.run(answer(Path(sys.argv[1]), Path(sys.argv[2])))
