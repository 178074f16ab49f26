"""How much a worker does at a time, by what its tasks need."""

from dataclasses import dataclass
from datetime import timedelta

from temporalio.worker import (
    FixedSizeSlotSupplier,
    ResourceBasedSlotConfig,
    ResourceBasedSlotSupplier,
    ResourceBasedTunerConfig,
    WorkerTuner,
)

_MIN_MEDIA = 16
_RAMP = timedelta(milliseconds=50)


@dataclass(frozen=True, slots=True)
class Slots:
    media: int = 500
    memory: float = 0.8
    cpu: float = 0.9
    workflows: int = 100
    ledger: int = 8
    """As many as there are database connections: more would only wait for one."""
    webhooks: int = 128

    def of_media(self) -> WorkerTuner:
        """Media activities wait for others: as many at once as this machine can bear, up to a limit."""
        activities = ResourceBasedSlotConfig(min(_MIN_MEDIA, self.media), self.media, _RAMP)
        return WorkerTuner.create_composite(
            workflow_supplier=FixedSizeSlotSupplier(self.workflows),
            activity_supplier=ResourceBasedSlotSupplier(activities, ResourceBasedTunerConfig(self.memory, self.cpu)),
            local_activity_supplier=FixedSizeSlotSupplier(1),
            nexus_supplier=FixedSizeSlotSupplier(1),
        )


def fixed(activities: int, workflows: int | None = None) -> WorkerTuner:
    return WorkerTuner.create_fixed(workflow_slots=workflows, activity_slots=activities)
