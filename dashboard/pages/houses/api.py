"""GET /api/houses/<id>/price: the answer that the price page shows, as JSON; what-if facts are query parameters."""

from typing import Any

import flask

from dashboard.pages.houses import pricing
from jobs.houses.price_model import what_if
from jobs.houses.price_model.published import UnknownHouseError
from lakehouse.errors import LakeError, UsageError


def price(house_id: str) -> tuple[dict[str, Any], int]:
    """Body and status of one answer: 400 for a bad parameter, 404 for an unknown house, 503 without a model."""
    asked = flask.request.args.to_dict(flat=False)
    query = {name: values[0] if len(values) == 1 else values for name, values in asked.items()}
    try:
        changes = what_if.parse(query)
        return pricing.shared().pricer.price(house_id, changes).as_dict(), 200
    except UsageError as error:
        return {"error": str(error)}, 400
    except UnknownHouseError as error:
        return {"error": str(error), "nearest": list(error.nearest)}, 404
    except LakeError as error:
        return {"error": str(error)}, 503


def add_routes(server: flask.Flask) -> None:
    """Serve it."""
    server.add_url_rule("/api/houses/<house_id>/price", "house_price", price, methods=["GET"])
