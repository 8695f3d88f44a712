import json
import re
from contextlib import ExitStack
from itertools import count
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import AuthenticationError

from sandbox.machine import stop, wait_for
from sandbox.valkey import Valkey
from tests.acceptance.roles import Commands, NotingProxy, Site, Work
from tests.preloaded import Machine

pytestmark = pytest.mark.acceptance

FOLDER = Path(__file__).parents[2] / "deploy" / "acl"
ROLES = ("producer", "oncall", "worker", "flower", "metrics")
#: What a role may ask and is refused, because it does its work without.
ASKED_IN_VAIN = {
    ("producer", "info"),
    ("producer", "config|get"),
    # Only who is on call looks at every record, and deletes messages.
    ("producer", "scan"),
    *(("producer", f"{{jobs}}:askonce{step}") for step in ("", "\x06\x163", "\x06\x166", "\x06\x169")),
    ("worker", "info"),
    ("worker", "config|get"),
    ("metrics", "config|get"),
}
#: What a client says of itself, and what a monitor leaves to the workers, should it come to look for it.
TRIED = {*((role, "client|setinfo") for role in ROLES), ("flower", "{jobs}:unacked_index")}
FORBIDDEN = (
    ("CONFIG", "SET", "maxmemory", "1"),
    ("SCRIPT", "LOAD", "return 1"),
    ("SCRIPT", "FLUSH"),
    ("KEYS", "*"),
    ("SCAN", "0"),
    ("FLUSHALL",),
    ("FLUSHDB",),
    ("ACL", "LIST"),
    ("DEBUG", "SLEEP", "0"),
    ("SHUTDOWN",),
    ("GET", "{askonce:other:b00}:rec:1"),
    ("MONITOR",),
)


@pytest.fixture(scope="module")
def site(tmp_path_factory, customers):
    folder = tmp_path_factory.mktemp("acl")
    users = "".join(path.read_text() for path in sorted(FOLDER.glob("*.acl")))
    (folder / "users.acl").write_text(f"{users}user operator on >op ~* &* +@all\n")
    outside = {"failure_rate": 0, "customers": customers}
    with ExitStack() as stack:
        server = stack.enter_context(Valkey(tcp=True, options=f'aclfile "{folder}/users.acl"'))
        proxies = {role: stack.enter_context(NotingProxy(server.port)) for role in ROLES}
        (folder / "orders.jsonl").write_text('{"order_id": "S", "cliente_id": 7}\n')
        env = {"REAP_INTERVAL": "0.5", "FLOWER_UNAUTHENTICATED_API": "true"}
        env |= {"ORDERS_FILE": str(folder / "orders.jsonl")}
        machine = stack.enter_context(Machine(outside=outside, env=env))
        site = Site(server, proxies, machine)
        stack.callback(site.operator.close)
        yield site


@pytest.fixture(scope="module")
def spawn(site):
    """Start Celery in a role; ends with the tests."""
    running = []

    def begin(role, *arguments, until):
        log = site.machine.folder / f"{role}.log"
        # The machine's own way to start a process, which dies with this one.
        site.machine._extra.update(site.env(role))
        running.append(site.machine.spawn("-m", "celery", "-A", "worker.app", *arguments, log=log))
        wait_for(lambda: until in log.read_bytes(), running[-1], log)
        return running[-1]

    yield begin
    for process in running:
        stop(process)


@pytest.fixture(scope="module")
def commands(site, spawn, eventually, tmp_path_factory):
    """Let every role do its work once; return what the server ran for each."""
    folder, numbers = tmp_path_factory.mktemp("rows"), count()

    def rows(*payloads):
        path = folder / f"{next(numbers)}.jsonl"
        path.write_text("".join(json.dumps(payload) + "\n" for payload in payloads))
        return path

    heard = Commands(site.server, "operator op")
    try:
        Work(site, spawn, rows, eventually).run()
    finally:
        heard.close()
    seen = {role: [words for port, words in heard.seen if port in site.proxies[role].ports] for role in ROLES}
    # Who is on call may do what a producer does too.
    return {**seen, "oncall": [*seen["producer"], *seen["oncall"]]}


@pytest.fixture(scope="module")
def distinct(commands):
    """One of each kind of a role's commands: records, and buckets, are all alike to the rules."""

    def kind(words):
        name = words[0].lower()
        keys = words[3:] if name in ("eval", "evalsha") else words[1:]
        alike = (re.sub(r"b[0-9a-f]{2}}|[0-9a-f]{64}|[0-9a-f-]{36}", "?", word)[:80] for word in keys[:6])
        return (name, *(word for word in alike if word.startswith(("{", "/"))))

    return {
        role: list(
            {kind(words): words for words in seen if words[0].lower() not in ("hello", "auth")}.values()
        )
        for role, seen in commands.items()
    }


def rules_of(role):
    """Return the rules of a role; the last ones may be selectors, each in brackets."""
    user, name, *rules = re.findall(r"\(.*?\)|\S+", (FOLDER / f"{role}.acl").read_text())
    assert ("user", role) == (user, name)
    return rules


def without_each(rules):
    """Yield each permission in *rules*, with the rules that are left without it."""
    for place, rule in enumerate(rules):
        before, after = rules[:place], rules[place + 1 :]
        if rule.startswith("("):
            inner = rule[1:-1].split()
            for permission in inner:
                rest = " ".join(each for each in inner if each != permission)
                yield f"{permission} in {rule}", [*before, f"({rest})", *after]
        elif rule[0] in "+~%&":
            yield rule, [*before, *after]


def refused(operator, rules, commands):
    """Return which of *commands* a user with *rules* may not run."""
    operator.execute_command("ACL", "SETUSER", "probe", "reset", *rules)
    asked = operator.pipeline(transaction=False)
    for words in commands:
        asked.execute_command("ACL", "DRYRUN", "probe", *(word.encode("latin-1") for word in words))
    told = zip(commands, asked.execute(), strict=True)
    return [words for words, answer in told if answer not in ("OK", b"OK")]


@pytest.mark.long
def test_every_role_may_do_its_work(site, commands):
    assert all(commands.values())
    refused = {(user, what) for user, what, _ in site.denied()}
    assert ASKED_IN_VAIN == refused - TRIED


@pytest.mark.long
@pytest.mark.parametrize("role", ROLES)
def test_no_role_has_a_permission_that_it_does_not_use(site, distinct, role):
    rules = rules_of(role)
    assert [] == refused(site.operator, rules, distinct[role])

    unused = [
        permission
        for permission, rest in without_each(rules)
        if not refused(site.operator, rest, distinct[role])
    ]

    assert [] == unused


@pytest.mark.parametrize("role", ROLES)
def test_no_role_may_do_what_only_an_operator_does(site, role):
    forbidden = [each for each in FORBIDDEN if (role, each[0]) != ("oncall", "SCAN")]

    assert forbidden == refused(site.operator, rules_of(role), FORBIDDEN)


def test_who_does_not_log_in_may_do_nothing(site):
    with Redis(port=site.server.port) as stranger, pytest.raises(AuthenticationError):
        stranger.ping()
