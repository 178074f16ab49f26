"""The audit's checks of the amount of a hold, and of the prices that are stored with it."""

from domain.meters import INPUT_METERS, MAX_PER_CALL, OUTPUT_METERS
from domain.money import MICRO, MINIMUM_CHARGE


def _in(meters: frozenset[str]) -> str:
    return ", ".join(f"'{meter}'" for meter in sorted(meters))


_MAX_COST = " + ".join(
    f"coalesce((rates ->> '{meter}')::numeric, 0) * {count}" for meter, count in MAX_PER_CALL.items()
)
# Each price list once, however many holds have it: the highest rate of a token, by the tier that the input reaches.
_HIGHEST = f"""
    WITH price AS MATERIALIZED (SELECT DISTINCT prices FROM holds WHERE prices IS NOT NULL),
    every AS (
        SELECT prices, prices AS price FROM price
        UNION ALL SELECT prices, s.value FROM price, jsonb_each(coalesce(prices -> 'service_tiers', '{{}}')) s
    ), rated AS (
        SELECT prices, -1 AS above, price -> 'rates' AS rates FROM every
        UNION ALL SELECT prices, (t ->> 'above')::bigint, t -> 'rates'
        FROM every, jsonb_array_elements(coalesce(price -> 'tiers', '[]')) t
    ), highest AS MATERIALIZED (
        SELECT prices, above, {_MAX_COST} AS whole,
               (SELECT max(value::numeric) FROM jsonb_each_text(rates) WHERE key IN ({_in(INPUT_METERS)})) AS input,
               (SELECT max(value::numeric) FROM jsonb_each_text(rates) WHERE key IN ({_in(OUTPUT_METERS)})) AS output
        FROM rated
    )
"""  # noqa: S608  # our own text

PRICES = {
    "hold_not_as_priced": f"""
        {_HIGHEST}
        SELECT h.id, 'holds ' || h.amount || ' for what costs ' || max(m.credits) || ' at most'
        FROM holds h JOIN highest r ON r.prices = h.prices AND h.input_bound > r.above CROSS JOIN LATERAL (
            SELECT ceil((r.input * h.input_bound + r.output * coalesce(h.output_limit, 0) * h.choices + r.whole)
                        / {1000 * MICRO}) AS credits) m
        WHERE h.amount > 0 GROUP BY h.id, h.amount HAVING h.amount <> greatest({MINIMUM_CHARGE}, max(m.credits))
    """,  # noqa: S608  # our own text
    # A version names one list of prices. A hold stores the part that its call can use: holds with equal meters agree.
    "prices_not_of_their_version": """
        WITH price AS MATERIALIZED (SELECT DISTINCT price_version, prices FROM holds WHERE prices IS NOT NULL),
        plain AS (
            SELECT price_version, prices FROM price WHERE coalesce(prices -> 'service_tiers', '{}') = '{}'
            UNION SELECT price_version, prices #> '{service_tiers,default}' FROM price
            WHERE prices #> '{service_tiers,default}' IS NOT NULL
        )
        SELECT price_version, count(*) || ' lists of prices have this version'
        FROM plain CROSS JOIN LATERAL (
            SELECT array_agg(m ORDER BY m) AS meters FROM jsonb_object_keys(prices -> 'rates') m) k
        GROUP BY price_version, k.meters HAVING count(*) > 1
    """,
}
