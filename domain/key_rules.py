"""What a key says of each of its calls, whatever the call says."""

from domain.privacy import Privacy
from domain.records import record


@record
class KeyRules:
    strict: bool = False
    """A parameter that no provider of the model takes is refused, not dropped."""
    privacy: Privacy = Privacy.DEFAULT


NO_RULES = KeyRules()
