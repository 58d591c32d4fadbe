#!/usr/bin/env python3
"""ratios.py DIR: the harness's samples in DIR/*.jsonl, against what supd is to reach.

Medians over the rounds; latencies of measure E are percentiles over all rounds
pooled, from the harness's histograms (buckets of 1 %). Prints a Markdown table.
"""
import json
import statistics
import sys


def rows(measure):
    with open(f"{sys.argv[1]}/{measure}.jsonl") as f:
        return [json.loads(line) for line in f if line.strip()]


def median(samples, peer, field, **where):
    values = [s[field] for s in samples if s["peer"] == peer and s.get(field) is not None
              and all(s.get(k) == v for k, v in where.items())]
    return statistics.median(values) if values else None


def percentile(samples, peer, ka, q):
    buckets = {}
    for s in samples:
        if s["peer"] == peer and s["ka"] == ka:
            for bucket, count in s["rl_hist"].items():
                buckets[int(bucket)] = buckets.get(int(bucket), 0) + count
    seen, total = 0, sum(buckets.values())
    for bucket in sorted(buckets):
        seen += buckets[bucket]
        if seen > q * total:
            return 1.01 ** (bucket + .5) / 1000
    return None


def failed(samples, peer):
    mine = [s["reload"] for s in samples if s["peer"] == peer]
    return sum(r["requests"] - r["ok"] for r in mine), sum(r["requests"] for r in mine)


def row(what, mine, reference, limit, others=""):
    ratio = mine / reference
    print(f"| {what} | {mine:.2f} | {reference:.2f} | {ratio:.2f} | {limit} | "
          f"{'yes' if ratio <= limit else 'NO'} | {others} |")


def others(samples, field, reference, **where):
    peers = sorted({s["peer"] for s in samples} - {"supd", "raw-vfork"})
    found = ((p, median(samples, p, field, **where)) for p in peers)
    return ", ".join(f"{p} {v / reference:.1f}" for p, v in found if v is not None)


def main():
    a, bc, d, e = rows("A"), rows("BC"), rows("D"), rows("E")
    print("| what | supd | bare limit | ratio | to reach | reached | peers' ratios |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    raw = median(a, "raw-vfork", "settled_ms")
    row("crash to the replacement's main(), ms", median(a, "supd", "settled_ms"), raw, 1.15,
        others(a, "settled_ms", raw))
    raw = median(bc, "raw-vfork", "start_ms", n=1000)
    row("cold start of 1,000 workers, ms", median(bc, "supd", "start_ms", n=1000), raw, 1.25,
        others(bc, "start_ms", raw, n=1000))
    for ka in (0, 32):
        row(f"p99.9 during rolling reloads, keep-alive {'on' if ka else 'off'}, ms",
            percentile(e, "supd", ka, .999), percentile(e, "raw-grace", ka, .999), 1.1)
    many = median(bc, "supd", "rss_kib", n=1000)
    few = median(bc, "supd", "rss_kib", n=100)
    lost, requests = failed(e, "supd")
    print()
    print(f"- resident with 1,000 workers: {many / 1024:.2f} MiB (to reach: 3.5); "
          f"each further one: {(many - few) / 900:.2f} KiB (to reach: 1.2)")
    print(f"- wake-ups in 20 s of idling with 100 workers: {median(d, 'supd', 'vol'):.0f}")
    print(f"- failed requests during rolling reloads: {lost} of {requests}")


main()
