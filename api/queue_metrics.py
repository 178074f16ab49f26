"""The figures by which fleets of workers grow and shrink: what waits in task queues, and which jobs have not ended."""

from collections.abc import Callable, Iterator, Sequence

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from db.media_figures import OpenJobs
from domain.task_queues import Backlog


class Queues(Collector):
    """The collector of one scrape. `backlogs` is None while Temporal is unavailable: then nothing is known of them."""

    def __init__(self, backlogs: Sequence[Backlog] | None) -> None:
        self._backlogs = backlogs

    def collect(self) -> Iterator[Metric]:
        yield GaugeMetricFamily("yout_temporal_up", "Temporal answers this process", int(self._backlogs is not None))
        yield self._backlog("yout_task_queue_backlog", "Tasks that no worker has taken", lambda b: b.waiting)
        yield self._backlog(
            "yout_task_queue_backlog_age_seconds", "Of the oldest of them", lambda b: b.age.total_seconds()
        )
        yield self._backlog("yout_task_queue_workers", "Processes that serve the queue", lambda b: b.workers)

    def _backlog(self, name: str, text: str, value: Callable[[Backlog], float]) -> Metric:
        family = GaugeMetricFamily(name, text, labels=["queue", "tasks"])
        for backlog in self._backlogs or ():
            family.add_metric([backlog.queue, backlog.tasks.value], value(backlog))
        return family


class UnendedJobs(Collector):
    def __init__(self, jobs: Sequence[OpenJobs]) -> None:
        self._jobs = jobs

    def collect(self) -> Iterator[Metric]:
        yield self._of_jobs("yout_jobs_queued", "Media jobs that no worker has begun", lambda j: j.queued)
        yield self._of_jobs("yout_jobs_queued_age_seconds", "Of the oldest of them", lambda j: j.age.total_seconds())
        yield self._of_jobs("yout_jobs_running", "Media jobs that a worker has begun", lambda j: j.running)

    def _of_jobs(self, name: str, text: str, value: Callable[[OpenJobs], float]) -> Metric:
        family = GaugeMetricFamily(name, text, labels=["kind"])
        for jobs in self._jobs:
            family.add_metric([jobs.kind.value], value(jobs))
        return family
