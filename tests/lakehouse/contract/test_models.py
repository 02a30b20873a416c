"""What a model declares, checked where it is declared."""

import pytest

from lakehouse.contract.models import Metric
from lakehouse.errors import LakeError


@pytest.mark.parametrize("form", ["", "3f", ".3", "%", "{:.3f}", ".3f "])
def test_a_format_that_the_manifest_could_not_have_is_refused_where_it_is_declared(form: str) -> None:
    with pytest.raises(LakeError, match=r"The format of the metric brier is .*as \.1%, \.3f or ,\.0f\. Correct `form`"):
        Metric("brier", "Brier", form)
