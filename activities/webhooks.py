"""The step of a webhook's delivery: one attempt. What it does is in `gateway/deliveries.py`."""

from temporalio import activity

from activities import failures
from activities.payloads import DeliveryRef, DeliveryStep
from activities.ports import Delivering


class WebhookActivities:
    def __init__(self, deliveries: Delivering) -> None:
        self._deliveries = deliveries

    @activity.defn
    async def attempt_delivery(self, ref: DeliveryRef) -> DeliveryStep:
        """Send the message once more, if it is due. Says when to come again, or how it ended."""
        with failures.translated():
            step = await self._deliveries.attempt(ref.delivery_id, ref.round)
            return DeliveryStep(state=step.state, pause=step.pause)
