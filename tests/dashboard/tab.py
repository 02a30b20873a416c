"""A page as its browser sees it, without one: asks the callbacks that a tick sets off and keeps what they say."""

import http.client
import json
import time
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from dashboard.server import tick_cache

Json = dict[str, Any]
_PAGE = ("_pages_content", "_pages_store")


class Tick(NamedTuple):
    """One poll: how long until everything was answered, the bytes that came, and how many answers had news."""

    seconds: float
    bytes: int
    news: int
    slowest: float


def applied(old: Any, change: Json) -> Any:
    """What assets/core/ticks.js does with a difference."""
    if not change or "set" in change:
        return change.get("set", old)
    if "splice" in change:
        head, tail, between = change["splice"]
        return [*old[:head], *between, *old[len(old) - tail :]]
    steps = change.get("into", {}).items()
    if isinstance(old, list):
        return [applied(item, change["into"].get(str(place), {})) for place, item in enumerate(old)]
    kept = {key: value for key, value in old.items() if key not in change.get("drop", [])}
    return kept | {key: applied(kept.get(key), inner) for key, inner in steps}


class Tab:
    """A page opened at an address; `values` are the properties that callbacks have set, by component and name."""

    def __init__(self, url: str, address: str, scheme: str = "light", span: str = "1h") -> None:
        self._place = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)
        self.values: dict[str, Json] = {"live": {}, "scheme": {"data": scheme}, "view": {"data": {"range": span}}}
        self.version: str | None = None
        self._answers: dict[str, tuple[str, Json]] = {}
        self._callbacks = self._dependencies(address)

    def _dependencies(self, address: str) -> list[Json]:
        everything = json.loads(self._get("/_dash-dependencies")[0])
        where = urlsplit(address)
        search = f"?{where.query}" if where.query else ""
        content = next(one for one in everything if one["output"].startswith(f"..{_PAGE[0]}."))
        self.values["_pages_location"] = {"pathname": where.path, "search": search}
        body = self._body(content, ["_pages_location.pathname"])
        answer = json.loads(self._post(body, "")[0])
        for name, props in components(answer["response"][_PAGE[0]]["children"]):
            self.values[name] = props
        own = [one for one in everything if not one["clientside_function"] and self._is_tick(one)]
        return [one for one in own if all(part["id"] in self.values for part in outputs(one["output"]))]

    @staticmethod
    def _is_tick(callback: Json) -> bool:
        return {"id": "live", "property": "data"} in callback["inputs"]

    def tick(self) -> Tick:
        """Ask for the pulse and, when there is a newer snapshot, every callback."""
        began, slowest = time.monotonic(), 0.0
        beat, size = self._get("/beat")
        version, news = json.loads(beat)["version"], 0
        first = self.version is None
        if version and version != self.version:
            self.version = version
            self.values["live"]["data"] = version
            for callback in self._callbacks:
                sent_at = time.monotonic()
                changed, more = self._ask(callback, [] if first else ["live.data"])
                slowest, size, news = max(slowest, time.monotonic() - sent_at), size + more, news + changed
        return Tick(time.monotonic() - began, size, news, slowest)

    def _ask(self, callback: Json, changed: list[str]) -> tuple[bool, int]:
        name, whole = self._answers.get(callback["output"], ("", {}))
        data, size, named = self._post(self._body(callback, changed), name)
        if not data:
            return False, size
        answer = json.loads(data)
        whole = applied(whole, answer["change"]) if "since" in answer else answer
        self._answers[callback["output"]] = named, whole
        for part, props in whole["response"].items():
            self._replace(self.values.setdefault(part, {}), props)
        return True, size

    def _replace(self, shown: Json, props: Json) -> None:
        if "children" in props:
            for name, _ in components(shown.get("children")):
                self.values.pop(name, None)
            self.values.update(components(props["children"]))
        shown.update(props)

    def _body(self, callback: Json, changed: list[str]) -> Json:
        parts = outputs(callback["output"])
        return {
            "output": callback["output"],
            "outputs": parts if callback["output"].startswith("..") else parts[0],
            "inputs": [self._value(part) for part in callback["inputs"]],
            "state": [self._value(part) for part in callback["state"]],
            "changedPropIds": changed,
        }

    def _value(self, part: Json) -> Any:
        name, prop = part["id"], part["property"]
        if name.startswith("{"):  # one of many: none of these pages has changed any
            return []
        return {"id": name, "property": prop, "value": name if prop == "id" else self.values.get(name, {}).get(prop)}

    def _get(self, path: str) -> tuple[bytes, int]:
        self._place.request("GET", path)
        data = self._place.getresponse().read()
        return data, len(data)

    def _post(self, body: Mapping[str, Any], holds: str) -> tuple[bytes, int, str]:
        headers = {"Content-Type": "application/json", tick_cache.HOLDS: holds}
        self._place.request("POST", "/_dash-update-component", json.dumps(body), headers)
        answer = self._place.getresponse()
        data = answer.read()
        assert answer.status in (200, 204), f"{answer.status} for {body['output'][:80]}: {data[:300]!r}"
        return data, len(data), answer.headers.get(tick_cache.NAME, "")


def outputs(name: str) -> list[Json]:
    """The outputs of a callback by its name: `..a.x...b.y..` is a.x and b.y."""
    each = name.strip(".").split("...") if name.startswith("..") else [name]
    return [{"id": one.rsplit(".", 1)[0], "property": one.rsplit(".", 1)[1]} for one in each]


def components(tree: Any) -> Iterator[tuple[str, Json]]:
    """Every component of a layout that has an id: it and its properties."""
    for part in tree if isinstance(tree, list) else [tree]:
        if isinstance(part, dict) and isinstance(part.get("props"), dict):
            if isinstance(part["props"].get("id"), str):
                yield part["props"]["id"], dict(part["props"])
            yield from components(part["props"].get("children"))
