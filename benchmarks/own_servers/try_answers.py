"""Asks real servers, and prints what the project makes of their answers.

``python -m benchmarks.own_servers.try_answers FOLDER [SERVER ...]``; FOLDER keeps the installed servers.

Each line: server, form of the API, what was asked, the status of each reply, the number of requests, seconds,
and the project's verdict. ``--bodies`` also prints what the server sent.

``--rows SECONDS`` sends 100 meetings through a real worker of 64 threads and this ``LLM_TIMEOUT`` instead, to
llama.cpp or vLLM with four slots. ``--outage SECONDS`` kills that server in the middle, and starts it again;
with ``--stop`` it gets SIGTERM, and is killed 30 s later.
"""

from __future__ import annotations

import argparse
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks.own_servers.litellm import LiteLlm
from benchmarks.own_servers.llama_cpp import LlamaCpp, LlamaCppPython
from benchmarks.own_servers.questions import FORMS, Form, Long, Question, Ranged
from benchmarks.own_servers.rows import try_rows
from benchmarks.own_servers.table import MIDDLE, Table
from benchmarks.own_servers.tap import Tap
from benchmarks.own_servers.vllm import Vllm
from sandbox.machine import Machine

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.own_servers.own import OwnServer

#: With one token a sign: more than one slot has.
_TOO_LONG: Final = "Ana: too long. " * 2_000
_ALIASES: Final = ("no-credit", "wrong-key", "wrong-path", "away")


def main() -> int:
    """Ask every server that the command names; without a name, all."""
    tries = {
        "llama_cpp": try_llama_cpp,
        "llama_cpp_python": try_python,
        "vllm": try_vllm,
        "litellm": try_litellm,
    }
    parser = argparse.ArgumentParser(prog="python -m benchmarks.own_servers.try_answers")
    parser.add_argument("folder", type=Path)
    parser.add_argument("servers", nargs="*", choices=[*tries, []], help="default: all")
    parser.add_argument("--bodies", action="store_true", help="print what each server sent")
    parser.add_argument("--rows", type=float, metavar="SECONDS", help="100 meetings and one worker instead")
    parser.add_argument(
        "--outage", type=float, metavar="SECONDS", help="with --rows: the server is away so long"
    )
    parser.add_argument("--stop", action="store_true", help="with --outage: SIGTERM comes first")
    options = parser.parse_args()
    folder = options.folder.resolve()
    if options.rows:
        server = Vllm(folder) if "vllm" in options.servers else LlamaCpp(folder)
        return try_rows(server, options.rows, options.outage, stop=options.stop)
    for name in options.servers or tries:
        tries[name](folder, bodies=options.bodies)
    return 0


def try_llama_cpp(folder: Path, *, bodies: bool) -> None:
    """Ask ``llama-server``."""
    _try(LlamaCpp(folder), bodies=bodies)
    _try_cut(LlamaCpp(folder, "--predict", "8"), bodies=bodies)


def try_python(folder: Path, *, bodies: bool) -> None:
    """Ask the server of llama-cpp-python."""
    _try(LlamaCppPython(folder), bodies=bodies)


def try_vllm(folder: Path, *, bodies: bool) -> None:
    """Ask vLLM."""
    _try(Vllm(folder), bodies=bodies)
    limit = ("--override-generation-config", '{"max_new_tokens": 8}')
    _try_cut(Vllm(folder, *limit, more={"VLLM_ENABLE_RESPONSES_API_STORE": "1"}), bodies=bodies)


def try_litellm(folder: Path, *, bodies: bool) -> None:
    """Ask the proxy in front of the stand-in, and in front of llama.cpp where it is installed."""
    with ExitStack() as stack:
        machine = stack.enter_context(Machine())
        behind = stack.enter_context(LlamaCpp(folder)) if (folder / LlamaCpp.name).exists() else None
        proxy = stack.enter_context(LiteLlm(folder, stand_in=f"{machine.outside.url}/v1", behind=behind))
        tap = stack.enter_context(Tap(proxy.address))
        table = Table(proxy, tap, bodies=bodies, behind=lambda: machine.ledger.openai.calls)
        for question in _common():
            table.ask(question)
        for form in FORMS:
            for alias in _ALIASES:
                table.ask(Question(asked=f"alias {alias}", form=form, model=alias))
            _try_behind(table, form, has_llama=behind is not None)
        machine.control(llm_failure_rate=1.0)
        for number in range(4):
            table.ask(Question(asked="service refuses", form=FORMS[number % 2], text=f"Ana: {number}"))
        machine.control(llm_failure_rate=0.0, llm_latency=4.0)
        _interrupt(table, proxy)


def _try_behind(table: Table, form: Form, *, has_llama: bool) -> None:
    if has_llama:
        table.ask(Question(asked="llama.cpp, json_schema", form=form, model="tiny"))
        table.ask(Question(asked="llama.cpp, input too long", form=form, model="tiny", text=_TOO_LONG))
        table.ask(Question(asked="llama.cpp, cut answer", form=form, model="cut"))


def _try(server: OwnServer, *, bodies: bool) -> None:
    with server, Tap(server.address) as tap:
        print(f"\n{server.name} {server.version}", flush=True)
        table = Table(server, tap, bodies=bodies)
        for question in _common():
            table.ask(question)
        _interrupt(table, server)


def _try_cut(server: OwnServer, *, bodies: bool) -> None:
    """Ask a server that was started with an output limit of some tokens, and keeps responses where it can."""
    with server, Tap(server.address) as tap:
        table = Table(server, tap, bodies=bodies)
        for form in FORMS:
            table.ask(Question(asked="cut answer", form=form))
        table.ask(Question(asked="background, cut answer", form="responses", background=True))


def _common() -> Iterator[Question]:
    for form in FORMS:
        yield Question(asked="small question, json_schema", form=form)
        yield Question(asked="number range", form=form, schema=Ranged)
        yield Question(asked="wrong key", form=form, key="sk-wrong")
        yield Question(asked="unknown model", form=form, model="no-such-model")
        yield Question(asked="input longer than the context", form=form, text=_TOO_LONG)
        yield Question(asked="base URL without /v1", form=form, path="")
        yield Question(asked="base URL with another path", form=form, path="/v9")
    yield Question(asked="background", form="responses", background=True, timeout=10.0)


def _interrupt(table: Table, server: OwnServer) -> None:
    """Give up in the middle of an answer, then end the server in the middle of one, in two ways."""
    table.ask(Question(asked="timeout in the middle", form="chat", schema=Long, timeout=MIDDLE))
    table.ask(Question(asked="killed in the middle", form="chat", schema=Long), meanwhile=server.kill)
    table.ask_directly(Question(asked="while it is away", form="chat"))
    server.start()
    table.ask(Question(asked="stopped in the middle", form="chat", schema=Long), meanwhile=server.stop)
    server.start()
    table.ask(Question(asked="after the restart", form="chat"))


if __name__ == "__main__":
    sys.exit(main())
