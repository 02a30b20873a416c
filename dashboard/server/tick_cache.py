"""Answers to a page's ticks: worked out once per snapshot for all tabs, and sent as what has changed since the last.

A tick is a callback that nothing but a new snapshot has set off. The browser (assets/core/ticks.js) names the answer
that it has; the same one again is 204, another one of the same callback is sent as the difference, others whole.
"""

import hashlib
import json
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Any, NamedTuple

import flask
from dash.exceptions import PreventUpdate

from dashboard.live import snapshot

ENDPOINT = "/_dash-update-component"
HOLDS, NAME = "Lake-Holds", "Lake-Answer"  # headers: the answer that the browser has, and the name of the one sent
KEPT_BYTES = 16 * 1024 * 1024  # of answers that browsers may still hold
KEPT_ANSWERS = 1000  # of one snapshot
_TICK = ["live.data"]


class Answer(NamedTuple):
    """A callback's answer as Dash writes it; None where nothing is to be updated."""

    data: bytes | None
    name: str = ""


class Ticks:
    """The answers of the snapshot in force, and the bytes of the last ones, which the next are compared with."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._version = ""
        self._answers: dict[bytes, Future[Answer]] = {}
        self._changes: dict[tuple[str, str], bytes] = {}
        self._sent: OrderedDict[str, bytes] = OrderedDict()

    def answer(self, own: Callable[[], Any]) -> Any:
        """What the request is answered with; `own` is Dash's way to work it out."""
        current, asked = snapshot.current(), flask.request.get_json(silent=True)
        if current is None or not is_tick(asked):
            return own()
        answer = self._shared(current.version, flask.request.get_data(), own)
        known = flask.request.headers.get(HOLDS, "")
        if answer.data is None or known == answer.name:
            return "", 204
        headers = {NAME: answer.name}
        return flask.Response(self._since(known, answer), content_type="application/json", headers=headers)

    def _shared(self, version: str, body: bytes, own: Callable[[], Any]) -> Answer:
        """The answer to this body; whoever asks first works it out, the others wait for it."""
        with self._lock:
            if version != self._version:
                self._version, self._answers, self._changes = version, {}, {}
            answers = self._answers if len(self._answers) < KEPT_ANSWERS else {}
            self._answers, first = answers, body not in answers
            answer = answers.setdefault(body, Future())
        if first:
            try:
                answer.set_result(self._keep(_worked_out(own)))
            except BaseException as error:
                answers.pop(body, None)
                answer.set_exception(error)
        return answer.result()

    def _keep(self, answer: Answer) -> Answer:
        with self._lock:
            if answer.data is not None:
                self._sent[answer.name] = answer.data
                self._sent.move_to_end(answer.name)
            while sum(map(len, self._sent.values())) > KEPT_BYTES:
                self._sent.popitem(last=False)
        return answer

    def _since(self, known: str, answer: Answer) -> bytes:
        """The difference from the answer that the browser has, or the whole where that one is unknown or unlike."""
        whole, before = answer.data or b"", self._sent.get(known)
        if before is None:
            return whole
        key = known, answer.name
        if key not in self._changes:
            change = difference(json.loads(before), json.loads(whole))
            data = json.dumps({"since": known, "change": change}, separators=(",", ":")).encode()
            self._changes[key] = data if len(data) < len(whole) else whole
        return self._changes[key]


def is_tick(asked: Any) -> bool:
    """Whether a callback was set off by nothing but a new snapshot, or by its page being opened."""
    if not isinstance(asked, Mapping) or asked.get("changedPropIds") not in ([], _TICK):
        return False
    inputs = [part for part in asked.get("inputs") or [] if isinstance(part, Mapping)]
    return any((part.get("id"), part.get("property")) == ("live", "data") for part in inputs)


def _worked_out(own: Callable[[], Any]) -> Answer:
    try:
        data = own().get_data()
    except PreventUpdate:
        return Answer(None)
    return Answer(data, hashlib.sha256(data).hexdigest()[:16])


def difference(old: Any, new: Any) -> dict[str, Any]:
    """How to make `new` of `old`, both as JSON: `set` a value, go `into` and `drop` keys, or `splice` a list.

    A splice keeps so many items from the start and from the end, and has what comes between them.
    """
    if isinstance(old, dict) and isinstance(new, dict):
        inner = {key: difference(old[key], value) if key in old else {"set": value} for key, value in new.items()}
        into, drop = {key: change for key, change in inner.items() if change}, [key for key in old if key not in new]
        return ({"into": into} if into or drop else {}) | ({"drop": drop} if drop else {})
    if isinstance(old, list) and isinstance(new, list):
        return _list_difference(old, new)
    return {} if old == new and type(old) is type(new) else {"set": new}


def _list_difference(old: list[Any], new: list[Any]) -> dict[str, Any]:
    if old == new:
        return {}
    if len(old) == len(new) and all(isinstance(item, dict | list) for item in new):
        changed = {str(place): difference(old[place], item) for place, item in enumerate(new) if old[place] != item}
        return {"into": changed}
    shorter = min(len(old), len(new))
    head = next((at for at in range(shorter) if old[at] != new[at]), shorter)
    rest = shorter - head
    tail = next((at for at in range(rest) if old[-1 - at] != new[-1 - at]), rest)
    return {"splice": [head, tail, new[head : len(new) - tail]]}


def install(server: flask.Flask) -> None:
    """Put this in front of Dash's own answers."""
    own, ticks = server.view_functions[ENDPOINT], Ticks()
    server.view_functions[ENDPOINT] = lambda: ticks.answer(own)
