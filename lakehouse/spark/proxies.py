"""Proxy settings for Java, which does not read http_proxy, https_proxy, all_proxy and no_proxy."""

import re
from collections.abc import Mapping
from urllib.parse import SplitResult, unquote, urlsplit

from lakehouse.errors import UsageError


def java_options(given: Mapping[str, str]) -> list[str]:
    """Java's options for the proxies that the environment names. Raises UsageError for one that cannot be read.

    They may contain a password: give them to Java in a file, not on its command line.
    """
    options: list[str] = []
    for kind in ("http", "https"):
        if (proxy := _proxy(given, kind)) is None:
            continue
        if proxy.scheme.startswith("socks"):
            options += [f"-DsocksProxyHost={proxy.hostname}", f"-DsocksProxyPort={proxy.port or 1080}"]
            continue
        options += [f"-D{kind}.proxyHost={proxy.hostname}", f"-D{kind}.proxyPort={proxy.port or 80}"]
        if proxy.username:  # Ivy passes these two on, for both kinds of proxy
            options += [f"-Dhttp.proxyUser={unquote(proxy.username)}"]
            options += [f"-Dhttp.proxyPassword={unquote(proxy.password or '')}"]
            options += ["-Djdk.http.auth.tunneling.disabledSchemes="]  # without it Java does not log in for https
    if options and (hosts := _direct(given)):
        options.append(f"-Dhttp.nonProxyHosts={'|'.join(hosts)}")
    return list(dict.fromkeys(options))


def argument_file(options: list[str]) -> str:
    """The options as Java reads them from a file named @file."""
    quoted = (option.replace("\\", "\\\\").replace('"', '\\"') for option in options)
    return "".join(f'"{option}"\n' for option in quoted)


def _proxy(given: Mapping[str, str], kind: str) -> SplitResult | None:
    """The proxy for http or https; lower-case names come first, as for curl."""
    names = [f"{kind}_proxy", f"{kind}_proxy".upper(), "all_proxy", "ALL_PROXY"]
    name = next((name for name in names if given.get(name)), None)
    if name is None:
        return None
    value = given[name]
    parts = urlsplit(value if "://" in value else f"http://{value}")
    try:
        port_is_one = parts.port is None or parts.port > 0
    except ValueError:
        port_is_one = False
    if not parts.hostname or not port_is_one:
        raise UsageError(f"{name} does not name a proxy.", "Write it like http://proxy.example.org:3128.")
    return parts


def _direct(given: Mapping[str, str]) -> list[str]:
    """Hosts to connect to without a proxy, as Java's patterns: a name also covers its subdomains."""
    hosts = re.split(r"[,\s]+", given.get("no_proxy") or given.get("NO_PROXY") or "")
    patterns: list[str] = []
    for host in filter(None, hosts):
        bare = host.removeprefix("*").removeprefix(".")
        patterns += ["*"] if not bare else [bare, f"*.{bare}"]
    return list(dict.fromkeys(patterns))
