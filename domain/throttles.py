"""How many tries are allowed in which time: what slows guessing down, and never locks an owner out.

A try names who tries and for whom. The limits of one network do not touch another network, so somebody who guesses at
an address does not use up the tries of its owner elsewhere. When too many tries come for one address from many
networks, each network has fewer of them; a network from which nobody tried has some in any case. A browser in which
the user has signed in before has tries of its own.
"""

from datetime import timedelta

from domain.records import record


@record
class Throttle:
    """`tries` in a time of `per`, at once or one after another (GCRA)."""

    name: str
    tries: int
    per: timedelta

    @property
    def interval(self) -> timedelta:
        return self.per / self.tries


_QUARTER, _HOUR = timedelta(minutes=15), timedelta(hours=1)

NETWORK = Throttle("network", 100, _QUARTER)
"""Sign-ins of one network, for whatever address."""
ADDRESS_AND_NETWORK = Throttle("address and network", 10, _QUARTER)
ADDRESS = Throttle("address", 100, _HOUR)
"""Tries for one address from all networks. Beyond these, `FRESH_NETWORK` counts too."""
FRESH_NETWORK = Throttle("fresh network", 3, _QUARTER)
"""What a network has for an address at which many others guess."""
KNOWN_BROWSER = Throttle("known browser", 10, _QUARTER)
"""Tries of a browser in which this user has signed in before, instead of all those above."""
OWN_PASSWORD = Throttle("own password", 10, _QUARTER)
"""The current password, asked of somebody who is signed in."""

SIGN_UPS = Throttle("sign-ups", 20, _HOUR)
"""Of one network."""
MAIL_REQUESTS = Throttle("mail requests", 20, _HOUR)
"""Of one network, to whatever address."""
MAILS_FROM_NETWORK = Throttle("mails from network", 3, _HOUR)
"""Mails of one kind to one address that one network asks for."""
MAILS = Throttle("mails", 10, _HOUR)
"""Mails of one kind to one address."""
