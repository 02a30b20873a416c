"""`python -m tests.echo.kills --kills 20`: processes and broker killed, nothing lost.

Each request that was promised an answer has one in the store, the first that was on the topic, and it is the right one.
"""

import argparse
import itertools
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from lakehouse.core.net import free_port
from tests.e2e.running import read_topic, wait_for
from tests.echo.clients import Client
from tests.echo.running import SLOW, Echo, Web, echoing
from tests.echo.schema import ANSWERS, REQUESTS
from tests.ending import end_in_order

VICTIMS = ("answering process", "web process", "broker", "its Java", "answering and web process")


def run(echo: Echo, kills: int, seed: int, say: Callable[[str], None]) -> list[str]:
    """What is wrong after so many kills while requests come in."""
    rng = random.Random(seed)
    with Web(echo, free_port()) as web:
        echo.start()
        client = Client(web.port).start()
        try:
            answered(client, echo)
            for number, victim in zip(range(kills), itertools.cycle(VICTIMS), strict=False):
                time.sleep(rng.uniform(0.5, 5))
                began = time.monotonic()
                kill(victim, echo, web, client)
                answered(client, echo)
                seconds = time.monotonic() - began
                say(f"{number + 1}: {victim} killed; a later request was answered after {seconds:.1f} s")
        finally:
            client.stop()
        wait_for(lambda: all_answered(client), SLOW, "the last answers")
        say(f"{len(client.promised):,} requests were promised an answer, {client.refusals} attempts were refused")
        return wrong(client, echo)


def kill(victim: str, echo: Echo, web: Web, client: Client) -> None:
    """Kill it, and start it again at once, as the supervisor does; the broker once somebody was refused."""
    if victim == "broker":
        before = client.refusals
        echo.kill_broker()
        wait_for(lambda: client.refusals > before, SLOW, "a 503")
        echo.start_broker()
    if victim == "its Java":
        assert echo.stream is not None
        for child in psutil.Process(echo.stream.pid).children():
            child.send_signal(signal.SIGKILL)
        assert echo.stream.wait(60) == 1  # it says so, and the supervisor starts it again
        echo.start()
    if victim in ("answering process", "answering and web process"):
        echo.kill()
        echo.start()
    if victim in ("web process", "answering and web process"):
        web.kill()
        web.start()


def answered(client: Client, echo: Echo) -> None:
    """Wait until the query is at work and a request that comes now is answered."""
    before = len(client.promised)
    wait_for(lambda: len(client.promised) > before, SLOW, "the next request")
    newest = list(client.promised)[before]
    wait_for(lambda: echo.at_work() and client.state(newest).get("state") == "answered", SLOW, "the next answer")


def all_answered(client: Client) -> bool:
    """Whether the newest requests are answered; they are spread over all partitions."""
    return all(client.state(each).get("state") == "answered" for each in list(client.promised)[-50:])


def wrong(client: Client, echo: Echo) -> list[str]:
    """Requests that are lost, or whose answer in the store is not the first and right one."""
    first: dict[str, str] = {}
    for message in read_topic(echo.bootstrap_servers, ANSWERS.name, ANSWERS.partitions):
        first.setdefault(message.key().decode(), message.value().decode())
    requests = read_topic(echo.bootstrap_servers, REQUESTS.name, REQUESTS.partitions)
    sent = {message.key().decode() for message in requests}
    found = [f"{each} was promised and is not on the topic" for each in client.promised.keys() - sent]
    for request_id, text in client.promised.items():
        stored, expected = client.state(request_id), f'v1:"{text}"'
        if (stored.get("state"), stored.get("answer"), first.get(request_id)) != ("answered", expected, expected):
            found.append(
                f"{request_id}: {expected} on the topic first: {first.get(request_id)}, in the store: {stored}"
            )
    return found


def main() -> None:
    """Kill, and print what is wrong; exit code 1 if anything is."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    chosen = parser.parse_args()
    say(f"seed {chosen.seed}")
    place = tempfile.TemporaryDirectory(prefix="lake-echo-", ignore_cleanup_errors=True)
    with place as folder, echoing(Path(folder)) as echo:
        found = run(echo, chosen.kills, chosen.seed, say)
    for each in found[:20]:
        say(each)
    say(f"{len(found)} things are wrong" if found else "nothing is wrong")
    sys.exit(1 if found else 0)


def say(line: str) -> None:
    """A line for whoever waits."""
    sys.stdout.write(f"{time.strftime('%H:%M:%S')}   {line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    end_in_order()
    main()
