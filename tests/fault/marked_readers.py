"""Many threads that ask for prices again and again until they are told to stop.

Prints how often which edition was got, apart for those who had seen that the mark was set.
"""

import json
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from marked_app import fetch, server


def read(number):
    """Ask until all is over; return how often each edition was got."""
    got = Counter()
    while not server.exists("stop"):
        marked = server.exists("marked")
        outcome = fetch.enqueue({"number": number})
        server.incr("asked")
        got[f"{'after' if marked else 'before'} {outcome.result(timeout=60).value}"] += 1
    return got


def main():
    """Take the number of readers, and of prices, from the command line."""
    readers, prices = map(int, sys.argv[1:])
    with ThreadPoolExecutor(readers) as pool:
        got = sum(pool.map(read, [n % prices for n in range(readers)]), Counter())
    sys.stdout.write(json.dumps(got))


if __name__ == "__main__":
    main()
