"""The metrics, once for both layers: Spark runs these queries over the history, PostgreSQL over the changed units.

Their SQL is valid in both. The caller fills the names in braces with a DataFrame or a subquery, and {hour} and {day}
with the SQL of clock.py for counted_at.
A unit's hour (and with it its day) in a zone is that of its first pass, for the line that of its last point so far.
A defect counts with its unit, so one that comes before its unit waits for it, and a later one belongs to its day.
"""

from jobs.production import day_sql
from jobs.production.plant import LINE, Plant

# A unit in a zone (and on the line), one row each; counted_at is null while only defects of it are known.
FACTS = f"""
SELECT unit_id, zone_id, max(counted_at) AS counted_at,
       CAST(sum(found) AS int) AS found, CAST(sum(charged) AS int) AS charged
FROM (
    SELECT unit_id, zone_id, first_at AS counted_at, 0 AS found, 0 AS charged FROM {{passes}} AS a
    UNION ALL SELECT unit_id, '{LINE}', last_at, 0, 0 FROM {{passes}} AS b
    UNION ALL SELECT unit_id, zone_id, NULL, 1, 0 FROM {{defects}} AS c
    UNION ALL SELECT unit_id, zone_charged_id, NULL, 0, 1 FROM {{defects}} AS d
    UNION ALL SELECT unit_id, '{LINE}', NULL, 1, 1 FROM {{defects}} AS e
) AS parts
GROUP BY unit_id, zone_id
"""

# Units, defects and defective units, one row per (hour_start, zone_id).
HOURS = """
SELECT {hour} AS hour_start, zone_id, {day} AS day,
       count(*) AS units, sum(found) AS defects_found, sum(charged) AS defects_charged,
       sum(CASE WHEN found > 0 THEN 1 ELSE 0 END) AS defective_units,
       max(counted_at) AS newest_at
FROM {facts} AS facts
WHERE counted_at IS NOT NULL
GROUP BY 1, 2, 3
"""

# Defects by what is wrong, one row per (hour_start, zone_id, concern_id).
CONCERNS = f"""
SELECT {{hour}} AS hour_start, facts.zone_id, concern_id, {{day}} AS day, count(*) AS defects
FROM {{facts}} AS facts
JOIN (
    SELECT unit_id, zone_id, concern_id FROM {{defects}} AS a
    UNION ALL SELECT unit_id, '{LINE}', concern_id FROM {{defects}} AS b
) AS found ON found.unit_id = facts.unit_id AND found.zone_id = facts.zone_id
WHERE counted_at IS NOT NULL
GROUP BY 1, 2, 3, 4
"""

# The same counts and throughput in percent, one row per (day, zone_id): a day is the sum of its hours.
TOTALS = """
SELECT day, zone_id, CAST(sum(units) AS bigint) AS units,
       CAST(sum(defects_found) AS bigint) AS defects_found, CAST(sum(defects_charged) AS bigint) AS defects_charged,
       CAST(sum(defective_units) AS bigint) AS defective_units,
       CAST(round(100.0 * (sum(units) - sum(defective_units)) / nullif(sum(units), 0), 3) AS decimal(6, 3))
           AS throughput,
       max(newest_at) AS newest_at
FROM {hours} AS hours
GROUP BY day, zone_id
"""


def on_clock(query: str, plant: Plant) -> str:
    """HOURS or CONCERNS with the plant's hours and days."""
    moment = "counted_at"
    return query.replace("{hour}", day_sql.hour(moment, plant)).replace("{day}", day_sql.day(moment, plant))
