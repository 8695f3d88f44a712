"""Many processes that call one cached function at the same moment; the server counts the calls.

``python -m tests.function_herd URL PROCESSES CALLERS (threads|tasks)``: each process is forked from one that
has used the cache already, as a web server's are. Prints the answers as JSON, one list for each process.
"""

import asyncio
import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor

from redis import Redis

from askonce.adapters.redis import RedisStore
from askonce.functions import FunctionCache
from tests.deadlines import stretched

URL = sys.argv[1]
LEDGER = "ledger:calls"
# A busy machine is no store that is away.
cache = FunctionCache(RedisStore.from_url(URL, namespace="herd"), patience=stretched(60))


def called(city):
    with Redis.from_url(URL) as ledger:
        number = ledger.incr(LEDGER)
        # Until the others have asked too.
        ledger.blpop("ledger:go", timeout=20)
        return {"city": city, "number": number}


@cache.cached_json("forecast")
def forecast(city):
    return called(city)


@cache.cached_json("trends")
async def trends(city):
    return await asyncio.to_thread(called, city)


@cache.cached_json("metrics")
def used_by_the_parent():
    return 1


async def by_tasks(count):
    return await asyncio.gather(*(trends("Lisbon") for _ in range(count)))


def by_threads(count):
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(forecast, ["Lisbon"] * count))


def answers(kind, count):
    return asyncio.run(by_tasks(count)) if kind == "tasks" else by_threads(count)


def child(begin, results, kind, count):
    os.read(begin, 1)
    try:
        said = answers(kind, count)
    except Exception as error:  # noqa: BLE001  # the test shows it
        said = [f"{type(error).__name__}: {error}"]
    os.write(results, (json.dumps(said) + "\n").encode())
    os._exit(0)


def main():
    _, _, processes, count, kind = sys.argv
    used_by_the_parent()
    begin, start = os.pipe()
    reader, results = os.pipe()
    children = []
    for _ in range(int(processes)):
        pid = os.fork()
        if not pid:
            child(begin, results, kind, int(count))
        children.append(pid)
    os.write(start, b"." * len(children))
    os.close(results)
    with os.fdopen(reader) as lines:
        sys.stdout.write(json.dumps([json.loads(line) for line in lines]))
    for pid in children:
        os.waitpid(pid, 0)


if __name__ == "__main__":
    main()
