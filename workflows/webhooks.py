"""The delivery of one webhook: attempts with pauses between them, for days. PostgreSQL knows what to send and where."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.payloads import DeliveryRef, DeliveryResult
    from activities.webhooks import WebhookActivities
    from workflows.options import DELIVERING

call = workflow.execute_activity_method


@workflow.defn
class WebhookWorkflow:
    """Tries until the delivery has ended. A new run goes on where the last one stopped: the row counts attempts."""

    @workflow.run
    async def run(self, ref: DeliveryRef) -> DeliveryResult:
        while True:
            step = await call(WebhookActivities.attempt_delivery, ref, **DELIVERING)
            if step.pause is None:
                workflow.set_current_details(f"The delivery has ended: {step.state}")
                return DeliveryResult(state=step.state)
            due = workflow.now() + step.pause
            workflow.set_current_details(f"Waiting for the next attempt, at {due:%Y-%m-%d %H:%M:%S} UTC")
            await workflow.sleep(step.pause, summary="until the next attempt")
            if workflow.info().is_continue_as_new_suggested():
                workflow.continue_as_new(ref)
