"""What the programs share: the file of requests that `countersign bench proofs` wrote, and a clock."""

import json
import statistics
import sys
import time

CALLS = 100


def requests():
    with open(sys.argv[1], encoding="utf-8") as file:
        heading, *listed = map(json.loads, file)
    return heading, listed


def measure(listed, check):
    """Checks the first half to warm up and measures the second: microseconds of CPU time for one check, the median of
    samples. `check` raises for a request that it refuses."""
    middle = len(listed) // 2
    for request in listed[:middle]:
        check(request)
    samples = []
    for at in range(middle, len(listed) - CALLS + 1, CALLS):
        before = time.process_time_ns()
        for request in listed[at : at + CALLS]:
            check(request)
        samples.append((time.process_time_ns() - before) / CALLS / 1000)
    return statistics.median(samples)


def show(peer, token, us_cpu, lacks):
    print(json.dumps({"peer": peer, "token": token, "us_cpu": us_cpu, "lacks": lacks}))
