import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from askonce.adapters.redis.scripts import OTHERS, VERBS
from askonce.store import Store

ROOT = Path(__file__).parents[2]
PACKAGES = ("askonce", "settings", "tasks", "producer", "worker", "sandbox")
SOURCES = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
LUA = ROOT / "askonce" / "adapters" / "redis" / "lua"
#: Modules of the tasks that producers must not load: they import the clients of the services.
WORKERS_ONLY = [
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for path in [*(ROOT / "tasks").glob("*/body.py"), *(ROOT / "tasks" / "providers").rglob("*.py")]
]
#: Imports code and prints which of some modules came with it.
PROBE = "import sys; {code}; print([name for name in {names} if name in sys.modules])"


def loaded(code, names):
    """Return which modules of *names* a new interpreter has after *code*."""
    done = subprocess.run(
        [sys.executable, "-c", PROBE.format(code=code, names=list(names))],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return ast.literal_eval(done.stdout.splitlines()[-1])


@cache
def parsed(path):
    return ast.parse(path.read_text())


def where(finds):
    """Return what *finds* finds wrong in each source; one test for all, because there are hundreds."""
    return {str(path.relative_to(ROOT)): found for path in SOURCES if (found := finds(path))}


def test_there_is_something_to_check():
    assert len(SOURCES) > 40
    assert {"tasks.orders.body", "tasks.providers.openai.model"} <= set(WORKERS_ONLY)


def test_file_has_at_most_400_lines():
    assert {} == where(lambda path: path.read_text().splitlines()[400:])


def long_functions(path):
    functions = [
        node for node in ast.walk(parsed(path)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    return [f.name for f in functions if f.end_lineno - f.lineno >= 50]


def test_function_has_at_most_50_lines():
    assert {} == where(long_functions)


def test_module_has_a_docstring():
    def lacks(path):
        is_empty = path.name == "__main__.py" and not path.read_text()
        return not is_empty and not ast.get_docstring(parsed(path))

    assert {} == where(lacks)


#: The only files that may name what a store replied; all others match on Serve, Wait, Run and Refuse.
DECIDERS = {
    ROOT / "askonce" / name
    for name in (
        "decide.py",
        "store.py",
        "adapters/memory/admit.py",
        "adapters/memory/start.py",
        "adapters/memory/store.py",
        "adapters/redis/claims.py",
    )
}
REPLIES = {"Admission", "Start"}


def members_named(tree):
    """Return each member of a reply that *tree* names, and each import under another name."""
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(value=ast.Name(id=name) | ast.Attribute(attr=name)) if name in REPLIES:
                yield ast.unparse(node)
            case ast.alias(name=name, asname=str()) if name in REPLIES:
                yield ast.unparse(node)


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("reply.outcome is Admission.HIT", ["Admission.HIT"]),
        ("match outcome:\n    case store.Start.DONE:\n        pass", ["store.Start.DONE"]),
        ("from askonce.store import Admission as A", ["Admission as A"]),
        ("def start(reply: Reply[Start]) -> Admission: ...", []),
    ],
)
def test_lint_of_replies_finds_each_form(source, found):
    assert list(members_named(ast.parse(source))) == found


def test_only_decide_and_stores_name_a_reply():
    assert {} == where(lambda path: path not in DECIDERS and list(members_named(parsed(path))))


def test_decide_and_stores_are_where_the_lint_expects_them():
    assert {path.parent.name for path in DECIDERS} >= {"askonce", "redis", "memory"}
    assert all(list(members_named(parsed(path))) for path in DECIDERS - {ROOT / "askonce/store.py"})


def test_engine_knows_no_vendor():
    vendors = ["celery", "kombu", "redis", "openai", "pydantic", "httpx2"]

    assert (
        loaded("import askonce, askonce.execute, askonce.inline, askonce.reaper, askonce.log", vendors) == []
    )
    assert loaded("import askonce.adapters.memory", vendors) == []
    assert loaded("import askonce.functions", vendors) == []


def test_verbs_in_the_command_line_of_celery_load_only_click():
    servers = ["celery", "kombu", "redis", "openai", "pydantic", "httpx2", "rich", "genai_prices"]

    # Celery loads them at each start of a worker.
    assert ["click"] == loaded("import askonce.cli.plugin", ["click", *servers])


def test_help_of_the_command_line_loads_only_click():
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "producer", "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}

    assert "click" in imported
    assert not imported & {"celery", "kombu", "redis", "openai", "pydantic", "httpx2"}


def test_first_line_of_a_run_loads_neither_engine_nor_rich():
    code = (
        "from producer.progress.reporter import new_progress;"
        " new_progress(sys.stderr, shown='terminal').start('orders.enrich', ['orders.csv'])"
    )

    assert loaded(code, ["celery", "kombu", "redis", "rich", "askonce", "pydantic", "dataclasses"]) == []


def test_producer_loads_no_task_body():
    code = "import producer.client, producer.run.start, askonce.cli.explained, producer.__main__"

    assert loaded(code, ["openai", "httpx2", *WORKERS_ONLY]) == []


def test_inputs_are_read_without_broker_store_or_models():
    names = ["celery", "kombu", "redis", "openai", "pydantic", "httpx2", "click", "rich"]

    assert loaded("import producer.inputs", names) == []


def test_bill_by_own_prices_loads_no_client_and_no_price_list():
    code = (
        "from settings.environment import Settings; from settings.prices import ModelPrice; "
        "from producer.bill import budget, pilot, words; from producer.bill.meter import Meter; "
        "price = {'gpt-6-luna': ModelPrice(input=1, output=4)}; row = {'transcript': 'Ana: Yes.'}; "
        "own = {'openai_base_url': 'http://127.0.0.1:1/v1', 'llm_max_output_tokens': 9}; "
        "meter = Meter('meetings.full', Settings(_env_file=None, llm_prices=price, **own)); "
        "meter.add(row); assert meter.estimate().cost_usd and meter.worst_case(row).micro_usd"
    )

    assert loaded(code, ["genai_prices", "openai", "httpx2", "celery", *WORKERS_ONLY]) == []


def test_every_verb_of_the_store_is_one_script():
    members = {name for name in vars(Store) if not name.startswith("_")}
    ports = {
        "audit",
        "due",
        "flights",
        "letters",
        "announcements",
        "boards",
        "controls",
        "tally",
        "runs",
        "pusher",
        "schedules",
    }
    # ``admit_many`` is the script of ``admit``, many times.
    others = {"subscribe", "check", "levels", "used_queues", "report_to", "admit_many", "cancel_many"}
    others |= {"invalidations"}
    verbs = members - ports - others
    shared = {
        "clock",
        "record",
        "tally",
        "ends",
        "marks",
        "pauses",
        "due",
        "reply",
        "attach",
        "message",
        "many",
        "counts",
        "terms",
        "schedule",
    }

    assert sorted(verbs) == sorted((*VERBS, "admit"))
    parts = {"publish", "publish_many", "duplicate", "new"}  # around admit, and before it
    assert {path.stem for path in LUA.iterdir()} == verbs | shared | parts | {*OTHERS}


@pytest.mark.parametrize("verb", [*VERBS, "admit", "publish", "publish_many", *OTHERS])
def test_script_header_names_keys_and_return(verb):
    header = [line for line in (LUA / f"{verb}.lua").read_text().splitlines() if line.startswith("--")]

    assert header[0].startswith(f"-- {verb}: ")
    assert any("KEYS" in line for line in header)
    assert any("returns" in line for line in header)


#: Where text reaches a terminal: each passes what it gets through ``askonce.line``.
PRINTERS = {
    ROOT / name
    for name in (
        "askonce/cli/printed.py",
        "askonce/adapters/celery/startup.py",
        "producer/progress/drawing.py",
        "producer/progress/lines.py",
        "producer/progress/terminal.py",
        "settings/environment.py",
        "worker/__main__.py",
        "worker/health.py",
        "worker/heartbeat.py",
        "worker/metrics/command.py",
        "worker/unless_misconfigured.py",
    )
}
WRITES = ("click.echo", "click.secho", "sys.stdout.write", "sys.stderr.write", "print")
WRITES += ("sys.stderr.writelines", "sys.stdout.writelines", "self._stream.write", "live.console.print")


def test_only_few_modules_write_to_a_terminal():
    packages = (
        "askonce",
        "settings",
        "tasks",
        "producer/commands",
        "producer/progress",
        "producer/run",
        "worker",
    )
    sources = {path for name in packages for path in (ROOT / name).rglob("*.py")}
    # Their streams are the output of a run.
    sources -= {ROOT / "producer/run/journal.py", ROOT / "producer/run/output.py"}

    assert PRINTERS == {path for path in sources if any(called_in(path.read_text(), WRITES))}


def called_in(source, names):
    """Yield each of *names* that *source* calls."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and (name := ast.unparse(node.func)) in names:
            yield name
