"""The results as Markdown: what was measured, beside the target, and by how much that is missed."""

import statistics

from measure.process import MB, MIB

# What the design asks for, on two cores. GB/s are to be reached, the rest is not to be exceeded.
STORED_FIVE_REDIS = 52 * MIB
LATER_SHARE = {"redis": 0.003, "python": 0.009, "java": 0.03}
FIRST_SECONDS, LATER_SECONDS = 1.2, 0.5
ONE_STREAM, TWO_STREAMS = 1.0, 1.2
PLAIN_PUSH_CPU, PLAIN_PULL_CPU, MANIFEST_CPU = 0.180, 0.130, 0.00005
PARALLEL_PEAK = 128 * MB
HUNDRED_RATIO = 2.2
SOAK_PEAK = 512 * MB


def table(head, rows):
    lines = ["| " + " | ".join(map(str, head)) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(map(str, row)) + " |" for row in rows]) + "\n"


def at_most(value, limit):
    return "reached" if value <= limit else f"**missed: {value / limit:.2f} times the target**"


def at_least(value, limit):
    return "reached" if value >= limit else f"**missed: {value / limit:.0%} of the target**"


def mb(value):
    return f"{value / MB:.0f} MB" if value >= 10 * MB else f"{value / MB:.2f} MB"


def mib(value):
    return f"{value / MIB:.1f}"


def seconds(value):
    return f"{value:.2f}"


def times(value, ours):
    return f"{value / ours:.1f}x" if ours else "–"


class Summary:
    """The steps of one series under one tool: the first, and the median of the later ones, over all runs."""

    def __init__(self, runs):
        self.runs = runs
        firsts, laters = [steps[0] for steps in runs], [step for steps in runs for step in steps[1:]]
        self.raw = sum(step.raw for step in runs[0])
        self.stored = statistics.median(steps[-1].stored for steps in runs)
        growth = [(after.stored - before.stored, after.raw) for steps in runs for before, after in zip(steps, steps[1:])]
        self.later_share = sum(grown for grown, _ in growth) / sum(raw for _, raw in growth)
        self.first = [self._median(firsts, what) for what in (wall, cpu)]
        self.later = [self._median(laters, what) for what in (wall, cpu)]
        self.peak_first = max(max(step.client_peak, step.server_peak) for step in firsts)
        self.peak_later = max(max(step.client_peak, step.server_peak) for step in laters)

    @staticmethod
    def _median(steps, what):
        return statistics.median(map(what, steps))


def wall(step):
    return step.wall


def cpu(step):
    return step.cpu + step.server_cpu


def comparison(name, results):
    """One series, all tools; ratios are to Pagevault."""
    ours = Summary(results["pagevault"])
    rows = []
    for tool, runs in results.items():
        one = Summary(runs)
        rows.append([
            tool, mib(one.stored), times(one.stored, ours.stored), f"{one.later_share:.2%}",
            times(one.later_share, ours.later_share), seconds(one.first[0]), seconds(one.later[0]), times(one.later[0], ours.later[0]),
            seconds(one.first[1]), seconds(one.later[1]), times(one.later[1], ours.later[1]),
            mb(one.peak_first), mb(one.peak_later)])
    head = ["", "stored, MiB", "ratio", "later, of raw", "ratio", "first, s", "later, s", "ratio", "first, CPU s", "later, CPU s",
            "ratio", "peak, first", "peak, later"]
    count = len(results["pagevault"][0])
    return f"### {name}: {count} checkpoints, {ours.raw / MIB:.0f} MiB\n\n{table(head, rows)}"


def storage_targets(series):
    rows = []
    for program, results in series.items():
        ours = Summary(results["pagevault"])
        if program == "redis" and len(results["pagevault"][0]) == 5:
            rows.append(["five redis checkpoints, stored", f"{mib(ours.stored)} MiB",
                         f"≤ {STORED_FIVE_REDIS / MIB:.0f} MiB", at_most(ours.stored, STORED_FIVE_REDIS)])
        limit = LATER_SHARE[program]
        rows.append([f"a later {program} checkpoint, of raw", f"{ours.later_share:.3%}", f"≤ {limit:.1%}",
                     at_most(ours.later_share, limit)])
    if "redis" in series:
        ours = Summary(series["redis"]["pagevault"])
        rows += [["redis, tar to restorable reference, first", f"{ours.first[0]:.2f} s", f"≤ {FIRST_SECONDS} s",
                  at_most(ours.first[0], FIRST_SECONDS)],
                 ["redis, the same, later", f"{ours.later[0]:.2f} s", f"≤ {LATER_SECONDS} s",
                  at_most(ours.later[0], LATER_SECONDS)]]
    return rows


def pull_targets(pulls):
    rows = []
    for which in ("first", "newest"):
        one, two = (pulls["pagevault"][which, streams].rate() for streams in (1, 2))
        rows += [[f"redis, pull of the {which} layer, one stream", f"{one:.2f} GB/s", f"≥ {ONE_STREAM} GB/s",
                  at_least(one, ONE_STREAM)],
                 [f"redis, pull of the {which} layer, two streams", f"{two:.2f} GB/s", f"≥ {TWO_STREAMS} GB/s",
                  at_least(two, TWO_STREAMS)]]
    return rows


def pull_table(pulls):
    rows = []
    for server, flows in pulls.items():
        for (which, streams), flow in flows.items():
            rows.append([server, which, streams, f"{flow.rate():.2f}", f"{flow.server_cpu / (flow.moved / 1e9):.2f}"])
    return table(["server", "layer", "streams", "GB/s", "server's CPU s per GB"], rows)


def request_rows(requests):
    ours = requests["pagevault"]
    limits = [("push", "push of a plain blob of 100 MB, server's CPU", PLAIN_PUSH_CPU),
              ("pull", "pull of it", PLAIN_PULL_CPU), ("manifest", "GET of a manifest, server's CPU", MANIFEST_CPU)]
    return [[name, f"{ours[key] * 1000:.3g} ms", f"≤ {limit * 1000:g} ms", at_most(ours[key], limit)]
            for key, name, limit in limits]


def request_table(requests):
    rows = [[server, *(f"{found[key] * 1000:.3g}" if found.get(key) else "–" for key in ("push", "pull", "manifest"))]
            for server, found in requests.items()]
    return table(["server", "100 MB plain blob in, CPU ms", "out, CPU ms", "GET manifest, CPU ms"], rows)


def memory_rows(found):
    what = f"8 parallel plain blobs of {found['size'] / MB:.0f} MB"
    return [[f"{what}, {way}: server's peak RSS", mb(found[f"{way}_peak"]), f"≤ {mb(PARALLEL_PEAK)}",
             at_most(found[f"{way}_peak"], PARALLEL_PEAK)] for way in ("push", "pull")]


def hundred_rows(found):
    steps = found["steps"]
    ratio = steps[-1].stored / steps[0].stored
    newest, two = found["pull"]["newest"].rate(), found["pull"]["newest, two"].rate()
    name = f"{len(steps)} redis checkpoints"
    return [[f"{name}, stored, times the first", f"{ratio:.2f}", f"≤ {HUNDRED_RATIO}", at_most(ratio, HUNDRED_RATIO)],
            [f"{name}, pull of the newest", f"{newest:.2f} GB/s", f"≥ {ONE_STREAM} GB/s", at_least(newest, ONE_STREAM)],
            [f"{name}, the same, two streams", f"{two:.2f} GB/s", f"≥ {TWO_STREAMS} GB/s", at_least(two, TWO_STREAMS)]]


def hundred_text(found):
    steps = found["steps"]
    laters = sorted(step.wall for step in steps[1:])
    grown = [step.stored / steps[0].stored for step in steps]
    marks = [n for n in (1, 2, 5, 10, 20, 50, 100) if n <= len(steps)]
    return (table(["checkpoints", *marks], [["stored, times the first", *(f"{grown[n - 1]:.2f}" for n in marks)]])
            + f"\nThe first takes {mib(steps[0].stored)} MiB of {mib(steps[0].raw)}. A later push takes "
            f"{laters[len(laters) // 2]:.2f} s (median; the slowest {laters[-1]:.2f} s). The first layer still pulls at "
            f"{found['pull']['first'].rate():.2f} GB/s. Peak RSS of the server: {mb(max(s.server_peak for s in steps))}.\n")


def soak_rows(found):
    name = f"{found['ingested'] / 1e9:.1f} GB of distinct checkpoints: server's peak RSS"
    return [[name, mb(found["peak"]), f"≤ {mb(SOAK_PEAK)}", at_most(found["peak"], SOAK_PEAK)]]


def soak_text(found):
    return (f"{found['count']} checkpoints, {found['ingested'] / 1e9:.1f} GB, in {found['wall']:.0f} s; "
            f"{found['stored'] / 1e9:.2f} GB stored. Peak RSS over all pushes {mb(found['peak'])}, in the last one "
            f"{mb(found['last_peak'])}.\n")
