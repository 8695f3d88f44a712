import json
import os
import signal
from dataclasses import replace

import pytest

from askonce.key import identify
from tests.deadlines import stretched

pytestmark = pytest.mark.integration


def test_forked_child_shares_neither_connections_nor_kept_answers_with_its_parent(new_shop, number):
    shop = new_shop("forks")
    spec, payload = replace(shop.add.job_spec, on_store_down="local"), {"n": number, "more": 1}
    identity = identify(spec, payload)
    parent = shop.once.process()
    parent.caller.call(spec, identity, lambda: number + 1, timeout=stretched(5))

    seen = in_a_child(lambda: what_it_holds(shop.once.process(), identity))

    assert {"connection", "answer"} == seen.keys()
    assert (what_it_holds(parent, identity)["answer"], seen["answer"]) == (True, False)
    assert what_it_holds(parent, identity)["connection"] != seen["connection"]
    assert what_it_holds(parent, identity)["connection"] == what_it_holds(parent, identity)["connection"]


def what_it_holds(process, identity):
    """The server's number for the connection in use, and whether an answer is kept beside the store."""
    [connection] = process.store._link.ask(("CLIENT", "ID"))
    kept = process.local._cache.get(identity.key, identity.fingerprint)
    return {"connection": connection, "answer": kept is not None}


def in_a_child(look):
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        # It may wait for a lock that nobody holds here: then it ends without a word.
        signal.alarm(20)
        try:
            os.write(writer, json.dumps(look()).encode())
        finally:
            os._exit(0)
    os.close(writer)
    os.waitpid(child, 0)
    with os.fdopen(reader) as pipe:
        return json.loads(pipe.read() or "{}")
