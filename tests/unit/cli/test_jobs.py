"""The choices of `yout jobs` are written out there: its help needs no model of a job."""

from cli import jobs
from domain.media import Kind, State


def test_every_state_and_kind_of_a_job_can_be_chosen() -> None:
    assert tuple(state.value for state in State) == jobs.STATUSES
    assert tuple(kind.value for kind in Kind) == jobs.KINDS
