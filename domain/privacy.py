"""What a provider does with prompts, and what a caller requires of it."""

from enum import StrEnum


class PrivacyClass(StrEnum):
    """What a route's provider keeps of a call, from the weakest class to the strongest."""

    UNKNOWN = "unknown"
    """Nothing is known: it may store prompts and train on them."""
    RETAINED = "retained"
    """It stores prompts and answers, and may use them."""
    NO_TRAINING = "no_training"
    """It does not train on them. It keeps them for a time against abuse."""
    ZERO_RETENTION = "zero_retention"
    """It keeps nothing, by contract or by a signal in each request."""

    def covers(self, required: "PrivacyClass") -> bool:
        """Tell whether this class is as strong as `required`."""
        return _ORDER[self] >= _ORDER[required]

    @staticmethod
    def strongest(*classes: "PrivacyClass") -> "PrivacyClass":
        return max(classes, key=_ORDER.__getitem__)

    @staticmethod
    def weakest(*classes: "PrivacyClass") -> "PrivacyClass":
        """Return what is true of all of them. Of none, nothing is known."""
        return min(classes, key=_ORDER.__getitem__, default=PrivacyClass.UNKNOWN)


_ORDER = {each: rank for rank, each in enumerate(PrivacyClass)}


class Privacy(StrEnum):
    """What a key or a call requires."""

    DEFAULT = "default"
    STRICT = "strict"
    """Only routes of the class `zero_retention` answer."""

    @property
    def required(self) -> PrivacyClass:
        return PrivacyClass.ZERO_RETENTION if self is Privacy.STRICT else PrivacyClass.UNKNOWN


TRAINING_MODELS = (":free", "-contributor")
"""How the names of cheap models end whose vendors train on prompts, whatever the provider does otherwise."""


def of_route(provider: PrivacyClass, route: PrivacyClass | None, model: str) -> PrivacyClass:
    """Return the class of a route: its own, or that of its provider. `model` is the provider's name of the model."""
    if route is not None:
        return route
    return PrivacyClass.UNKNOWN if model.endswith(TRAINING_MODELS) else provider
