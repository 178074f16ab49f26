"""Jobs a second, with one worker and with two."""

from bench.media.figures import Figure, Part, Plan
from bench.media.running import ENDED, OPEN, QUICK, Costs, Running

SECONDS = """
SELECT extract(epoch FROM max(finished_at) - min(started_at)) FROM media_jobs WHERE id = ANY(%s::uuid[])
"""


async def measure(running: Running, plan: Plan) -> list[Figure]:
    """All jobs of a turn wait when the workers come. One worker, two, two, one …: neither always comes first."""
    rates: dict[int, list[float]] = {1: [], 2: []}
    costs: dict[str, list[float]] = {}
    async with running.working(1):  # what other parts left
        await running.until(OPEN, 0)
    for turn in range(plan.turns):
        for workers in (1, 2) if turn % 2 == 0 else (2, 1):
            rate, spent = await _turn(running, plan, workers)
            rates[workers].append(rate)
            for name, milliseconds in spent.items() if workers == 1 else ():
                costs.setdefault(name, []).append(milliseconds)
    return [
        *(Figure(Part.MAKE, f"jobs a second, workers: {workers}", each) for workers, each in rates.items()),
        Figure(Part.MAKE, "two workers, times one", [b / a for a, b in zip(rates[1], rates[2], strict=True)], 2),
        *(Figure(Part.MAKE, f"ms CPU of {name} for a job", each) for name, each in costs.items()),
    ]


async def _turn(running: Running, plan: Plan, workers: int) -> tuple[float, dict[str, float]]:
    """Jobs a second from the first that begins to the last that ends, and milliseconds of CPU for each."""
    before = await running.stack.number(ENDED)
    jobs = await running.customer.order(plan.jobs, "image", QUICK)
    servers = {name: pid for name, pid in running.servers.items() if name != "API"}
    costs = Costs.began(servers)
    async with running.working(workers) as working:
        of_workers = Costs({f"worker {number}": one.pid for number, one in enumerate(working)}, {})
        await running.until(ENDED, before + plan.jobs)
        spent = costs.spent() | {"the worker": sum(Costs.began(of_workers.pids).before.values())}
    ((seconds,),) = await running.stack.rows(SECONDS, jobs)
    return plan.jobs / float(seconds), {name: 1000 * each / plan.jobs for name, each in spent.items()}
