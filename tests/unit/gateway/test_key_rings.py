"""What a provider's ring of keys remembers of its accounts, and for how long."""

from gateway.key_rings import MAX_RESTS, KeyRing


def test_a_rest_for_all_is_as_long_as_the_shorter_of_those_that_were_seen() -> None:
    ring = KeyRing()
    ring.rest(0, 60.0, 0.0, "a", for_all=False)
    ring.rest(0, 5.0, 10.0, "b", for_all=False)
    assert [ring.rests_until(1, who) for who in "abc"] == [60.0, 15.0, 15.0]
    assert (ring.resting(14.0), ring.resting(16.0)) == (1, 0)


def test_what_another_account_saw_long_ago_confirms_nothing() -> None:
    ring = KeyRing()
    ring.rest(0, 5.0, 0.0, "a", for_all=False)
    ring.rest(0, 5.0, 6.0, "b", for_all=False)
    assert ring.rests_until(1, "c") == 0.0


def test_a_key_that_answers_one_account_rests_for_all_no_more_and_still_for_another() -> None:
    ring = KeyRing()
    ring.rest(0, 60.0, 0.0, "a", for_all=True)
    ring.works(0, "b")
    assert [ring.rests_until(1, who) for who in "ab"] == [60.0, 0.0]
    ring.works(0, "a")
    assert ring.rests_until(1, "a") == 0.0


def test_it_remembers_so_many_rests() -> None:
    ring = KeyRing()
    for account in range(2 * MAX_RESTS):
        ring.rest(account % 2, 60.0, 0.0, account, for_all=False)
    assert len(ring._of_account) == MAX_RESTS
    ring.rest(0, 60.0, 100.0, "new", for_all=False)
    assert len(ring._of_account) == 1
