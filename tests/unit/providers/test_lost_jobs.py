"""When a provider that answers 404 to a job has lost it."""

from providers.lost_jobs import MAX_JOBS, MAX_NOT_FOUND, LostJobs


def test_a_job_is_lost_after_several_times_in_a_row() -> None:
    jobs = LostJobs()
    assert [jobs.lost("a") for _ in range(MAX_NOT_FOUND)] == [False] * (MAX_NOT_FOUND - 1) + [True]


def test_an_answer_begins_the_count_anew() -> None:
    jobs = LostJobs()
    for _ in range(3 * MAX_NOT_FOUND):
        assert not jobs.lost("a")
        jobs.seen("a")


def test_jobs_count_by_themselves_and_without_end() -> None:
    jobs = LostJobs()
    assert not any(jobs.lost(str(number)) for number in range(2 * MAX_JOBS))
    assert len(jobs._not_found) == MAX_JOBS
