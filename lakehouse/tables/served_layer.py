"""Which layer's row is served: the batch row where there is one, else the speed row."""

from collections.abc import Sequence

import pandas as pd


def served(speed: pd.DataFrame, batch: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
    """The served rows, one per key: the batch row where there is one, else the speed row.

    The speed row is served instead when a speed batch changed it after the last one that the batch row covers, so that
    a batch row of an open window does not freeze the page. When the speed layer was rebuilt since, the batch row is
    served unless its window was open then or had another length. `layer` says which one it is. A batch row whose window
    the speed layer does not have is final.
    """
    values = [column for column in speed.columns if column in batch.columns and column not in keys]
    both = batch.merge(speed, on=list(keys), how="outer", suffixes=("_batch", "_speed"), indicator="where")
    covered = pd.to_numeric(both["covered_batch_id"])
    changed_later = (both["covered_generation"] == both["generation"]) & (pd.to_numeric(both["batch_id"]) > covered)
    covered_nothing = both["covered_generation"].isna()
    another = both["window_end_batch"] != both["window_end_speed"]
    was_open = pd.to_datetime(both["recomputed_at"], utc=True) < pd.to_datetime(both["window_end_batch"], utc=True)
    outdated = another | (was_open & (both["covered_generation"] != both["generation"]))
    by_speed = both["where"] == "right_only"
    by_speed |= (both["where"] == "both") & (changed_later | covered_nothing | outdated)
    rows = both[list(keys)].copy()
    for column in values:
        chosen = both[f"{column}_batch"].where(~by_speed, both[f"{column}_speed"])
        rows[column] = chosen.astype(speed[column].dtype)
    rows["is_final"] = both["is_final"].isna() | both["is_final"].eq(True)
    rows["layer"] = by_speed.map({True: "speed", False: "batch"})
    return rows.sort_values(list(keys), ignore_index=True)
