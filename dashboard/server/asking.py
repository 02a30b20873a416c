"""Lets clients ask by HTTP: POST a request as JSON, then GET its address until its state is final.

A POST answers 202 with the id and the address once the broker has the request, 422 for one that breaks a rule, 409 for
an id that has another request, 503 with the id when the broker does not take it: then the same id can be asked again.
"""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import flask

from lakehouse.asking.asker import Asker, Question
from lakehouse.asking.requests import ConflictError, NotTakenError, RejectedError, RequestState
from lakehouse.errors import DataError, LakeError

RETRY_SECONDS = 2
POLL_SECONDS = 1
ID = "request_id"  # in the JSON of a POST: the client's own id
_KEY = "asking"


class Desk:
    """The askers of a server, each opened once: when the server starts, or with the first request."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._questions: list[Question] = []
        self._askers: dict[str, Asker] = {}

    def add(self, question: Question) -> None:
        """Make the question one of this server's."""
        self._questions.append(question)

    def asker(self, question: Question) -> Asker:
        """The question's asker. Raises what Asker raises."""
        with self._lock:
            if question.full_name not in self._askers:
                self._askers[question.full_name] = Asker(question)
            return self._askers[question.full_name]

    def open(self) -> None:
        """Open all, so that answers are read although nobody asks; what cannot be opened is tried with each request."""
        for question in self._questions:
            try:
                self.asker(question)
            except LakeError as error:
                flask.current_app.logger.warning("%s", error)

    def close(self) -> None:
        """Close all."""
        with self._lock:
            for asker in self._askers.values():
                asker.close()
            self._askers.clear()


def desk(server: flask.Flask) -> Desk:
    """The server's desk."""
    found: Desk = server.extensions.setdefault(_KEY, Desk())
    return found


@contextmanager
def opened(server: flask.Flask) -> Iterator[None]:
    """Keep the server's askers open while the block runs."""
    with server.app_context():
        desk(server).open()
    try:
        yield
    finally:
        desk(server).close()


def add_routes(server: flask.Flask, path: str, question: Question) -> None:
    """Serve the question at `path`, and each request at `path`/<id>."""
    name, questions = f"ask {question.full_name}", desk(server)
    questions.add(question)

    def post() -> Any:
        asked = flask.request.get_json(silent=True) if flask.request.is_json else None
        if not isinstance(asked, Mapping):
            return _answer(400, error="A request is an object in JSON, with the content type application/json.")
        return _asked(questions, question, dict(asked), path)

    def get(request_id: str) -> Any:
        try:
            request = questions.asker(question).find(request_id)
        except DataError as error:
            return _answer(400, error=str(error))
        except LakeError as error:
            return _unavailable(error)
        if request is None:
            return _answer(404, error=f"There is no request {request_id}.")
        response = _answer(200, **request.to_dict())
        if request.state is RequestState.QUEUED:
            response.headers["Retry-After"] = str(POLL_SECONDS)
        return response

    server.add_url_rule(path, name, post, methods=["POST"])
    server.add_url_rule(f"{path}/<request_id>", f"{name} state", get, methods=["GET"])


def _asked(questions: Desk, question: Question, asked: dict[str, Any], path: str) -> flask.Response:
    own_id = asked.pop(ID, None)
    try:
        request_id = questions.asker(question).ask(asked, own_id)
    except RejectedError as error:
        rejected = {"id": error.request_id, "state": RequestState.REJECTED, "address": f"{path}/{error.request_id}"}
        return _answer(422, error=str(error), **rejected)
    except DataError as error:
        return _answer(400, error=str(error))
    except ConflictError as error:
        return _answer(409, error=str(error))
    except NotTakenError as error:
        return _unavailable(error, id=error.request_id)
    except LakeError as error:
        return _unavailable(error)
    address = f"{path}/{request_id}"
    response = _answer(202, id=request_id, address=address)
    response.headers["Location"] = address
    return response


def _unavailable(error: LakeError, **more: str) -> flask.Response:
    response = _answer(503, error=str(error), **more)
    response.headers["Retry-After"] = str(RETRY_SECONDS)
    return response


def _answer(status: int, **values: Any) -> flask.Response:
    response = flask.jsonify(values)
    response.status_code = status
    response.headers["Cache-Control"] = "no-store"
    return response
