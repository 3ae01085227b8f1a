"""The command line."""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, NoReturn
from urllib.parse import urlsplit

import typer
from rich.console import Console
from rich.table import Table

from . import config, control, journal, logs, roster
from .app import Bridge, journal_path, portal_reports, read_keys
from .errors import BridgeError
from .numbers import Numbers, preview
from .robot import Orders, Robot, ticket_from_simulator
from .tickets import new_key

cli = typer.Typer(help="A telephone on every page of Bitrix24.", no_args_is_help=True, add_completion=False)
operators = typer.Typer(help="Who has which account at which PBX.", no_args_is_help=True)
cli.add_typer(operators, name="operators")
out = Console(highlight=False)
ConfigFile = Annotated[Path, typer.Option("--config", "-c", help="The settings.", envvar="BRIDGE_CONFIG")]
CONFIG = Path("config/bridge.toml")


@cli.command()
def run(config_file: ConfigFile = CONFIG) -> None:
    """Run the bridge."""
    logs.to_stderr()
    asyncio.run(_run(config.load(config_file)))


async def _run(settings: config.Settings) -> None:
    async with Bridge(settings).running() as bridge:
        typer.echo(f"ready {bridge.url}")
        await _until_told_to_stop()


@cli.command()
def demo(
    http_port: Annotated[int, typer.Option(help="The bridge's pages.")] = 8090,
    portal_port: Annotated[int, typer.Option(help="The simulated portal.")] = 8091,
    sip_port: Annotated[int, typer.Option(help="The bridge's SIP port; the PBX takes the next one.")] = 5080,
) -> None:
    """Try it all: the bridge, a simulated Bitrix24 portal and a small PBX."""
    from .demo import stage

    logs.to_stderr(logging.WARNING)
    asyncio.run(_demo(stage.Ports(http=http_port, portal=portal_port, sip=sip_port)))


async def _demo(ports: Any) -> None:
    from .demo import stage

    async with stage.running(ports) as address:
        out.print(f"\n  Open [bold]{address}[/bold]\n", soft_wrap=True)
        out.print("  in Chrome, Edge or Firefox, sign in as somebody and press “Call me”.", soft_wrap=True)
        out.print("  The caller is an echo: use headphones. Ctrl+C ends it.\n", soft_wrap=True)
        await _until_told_to_stop()


@cli.command()
def operator(
    portal: Annotated[str, typer.Option(help="The portal's url.")],
    user: Annotated[int, typer.Option(help="Bitrix24 user id.")],
    answer: Annotated[str, typer.Option(help="Seconds until it answers, or never.")] = "1",
    hang_up_after: Annotated[float | None, typer.Option(help="Seconds of talk.")] = None,
    early: Annotated[bool, typer.Option(help="Connect the voice while it rings.")] = False,
    audio: Annotated[str, typer.Option(help="tone, echo or a WAV file.")] = "tone",
    dial: Annotated[str, typer.Option(help="Call this number once joined.")] = "",
    config_file: ConfigFile = CONFIG,
) -> None:
    """A headless operator: joins like the worker page and answers calls."""
    logs.to_stderr(logging.WARNING)
    orders = Orders(
        answer_after=None if answer == "never" else float(answer),
        hang_up_after=hang_up_after,
        early=early,
        dial=dial,
        audio="tone" if audio == "tone" else "echo" if audio == "echo" else Path(audio),
    )
    asyncio.run(_operator(portal, user, orders, config_file))


async def _operator(portal: str, user: int, orders: Orders, config_file: Path) -> None:
    if (urlsplit(portal).hostname or "").endswith(".localhost"):
        url, ticket = await ticket_from_simulator(portal, user)
        session = ""
    else:
        answer = await control.ask(config.load(config_file).state_dir, do="ticket", portal=portal, user=user)
        url, ticket, session = answer["url"], answer["ticket"], answer["session"]
    robot = Robot(bridge_url=url, ticket=ticket, session=session, orders=orders, say=out.print)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(robot.run())
        await _until_told_to_stop()
        running.cancel()


@cli.command()
def calls(
    hang_up: Annotated[str, typer.Option(help="Hang up this call, or all.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    config_file: ConfigFile = CONFIG,
) -> None:
    """Live calls of the running bridge."""
    state = config.load(config_file).state_dir
    if hang_up:
        done = asyncio.run(control.ask(state, do="hang-up", call=hang_up))["hung_up"]
        out.print(json.dumps(done) if as_json else f"Hung up: {', '.join(done) or 'nothing'}")
        return
    rows = asyncio.run(control.ask(state, do="calls"))["calls"]
    if as_json:
        typer.echo(json.dumps(rows))
        return
    table = Table("call", "state", "direction", "number", "name", "responsible", "line", "operator", "since")
    for row in rows:
        since = datetime.fromtimestamp(row["started"], UTC).astimezone().strftime("%H:%M:%S")
        shown = ("call", "state", "direction", "number", "name", "responsible", "line", "operator")
        table.add_row(*(row[column] for column in shown), since)
    out.print(table if rows else "No calls.")


@cli.command()
def status(config_file: ConfigFile = CONFIG) -> None:
    """Registrations at the PBXs, pages that are open and media workers, of the running bridge."""
    answer = asyncio.run(control.ask(config.load(config_file).state_dir, do="status"))
    for title in ("registrations", "tabs", "workers"):
        rows = answer[title]
        out.print(f"[bold]{title}[/bold]: {len(rows)}")
        for row in rows:
            out.print("  " + "  ".join(f"{key}={value}" for key, value in row.items()))


@cli.command()
def trace(call: str, config_file: ConfigFile = CONFIG) -> None:
    """The ladder of one call: what every neighbour said, and what was done."""
    entries = list(journal.read(journal_path(config.load(config_file)), call))
    if not entries:
        _fail(f"no call {call} in the journal")
    for row in journal.ladder(entries):
        typer.echo(row)


@cli.command()
def portals(config_file: ConfigFile = CONFIG) -> None:
    """The portals of the configuration: how the application stands there, and what somebody has to do about it."""
    heads = "portal", "state", "domain", "administrators", "slow loads", "promises waiting", "set aside"
    table = Table(*heads)
    reports = asyncio.run(portal_reports(config.load(config_file)))
    for report in reports:
        table.add_row(*report.row)
    out.print(table)
    for report in reports:
        for sentence in report.todo:
            out.print(f"{report.row[0]}: {sentence}", soft_wrap=True)


@cli.command()
def trunks(
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    config_file: ConfigFile = CONFIG,
) -> None:
    """The PBXs of the running bridge: whether they answer, how many accounts are registered, what is not safe."""
    answer = asyncio.run(control.ask(config.load(config_file).state_dir, do="status"))
    rows = answer["trunks"]
    if as_json:
        typer.echo(json.dumps(rows))
        return
    states = Counter((each["trunk"], each["state"]) for each in answer["registrations"])
    table = Table("trunk", "server", "transport", "PBX", "since", "accounts")
    for row in rows:
        told = (
            f"{row['health']} ({row['status']} in {row['seconds'] * 1000:.0f} ms)" if row["status"] else row["health"]
        )
        since = datetime.fromtimestamp(row["since"], UTC).astimezone().strftime("%d.%m. %H:%M") if row["since"] else ""
        accounts = ", ".join(f"{count} {state}" for (name, state), count in states.items() if name == row["trunk"])
        table.add_row(row["trunk"], row["server"], row["transport"], told or "never asked", since, accounts or "none")
    out.print(table if rows else "No trunks.")
    for row in rows:
        for caution in row["cautions"]:
            out.print(f"{row['trunk']}: {caution}", soft_wrap=True)


@cli.command()
def promises(
    retry: Annotated[str, typer.Option(help="Try this promise again that was set aside, or all.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    config_file: ConfigFile = CONFIG,
) -> None:
    """What Bitrix24 was not told yet, and why: what was set aside for you to decide first."""
    state = config.load(config_file).state_dir
    if retry:
        again = asyncio.run(control.ask(state, do="retry", promise=retry))["retried"]
        out.print(json.dumps(again) if as_json else f"Trying again: {', '.join(map(str, again)) or 'nothing'}")
        return
    rows = asyncio.run(control.ask(state, do="promises"))["promises"]
    if as_json:
        typer.echo(json.dumps(rows))
        return
    table = Table("id", "portal", "call", "number", "what", "state", "why", show_lines=True)
    for row in rows:
        when = datetime.fromtimestamp(row["next"], UTC).astimezone().strftime("%H:%M:%S")
        state_now = "set aside" if row["aside"] else f"waits, next try {when}"
        table.add_row(str(row["id"]), row["portal"], row["call"], row["number"], row["what"], state_now, row["why"])
    out.print(table if rows else "Bitrix24 knows everything.")


@cli.command()
def recordings(
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    config_file: ConfigFile = CONFIG,
) -> None:
    """Recordings that lie here: running, to be finished, promised to Bitrix24, kept, or broken."""
    state = config.load(config_file).state_dir
    rows = asyncio.run(control.ask(state, do="recordings"))["recordings"]
    if as_json:
        typer.echo(json.dumps(rows))
        return
    table = Table("call", "portal", "state", "MB", "last change")
    for row in rows:
        when = datetime.fromtimestamp(row["at"], UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")
        table.add_row(row["call"], row["portal"], row["state"], f"{row['bytes'] / 1e6:.1f}", when)
    out.print(table if rows else "No recordings lie here.")


@cli.command()
def attach(
    call: Annotated[str, typer.Argument(help="Our id of the call, or Bitrix24's CALL_ID.")],
    file: Annotated[Path, typer.Argument(help="A recording, .mp3 or .wav; the bridge must be able to read it.")],
    config_file: ConfigFile = CONFIG,
) -> None:
    """Attach a recording to the CRM's record of a call."""
    path = file.resolve()
    asyncio.run(control.ask(config.load(config_file).state_dir, do="attach", call=call, path=str(path), name=path.name))
    out.print("Promised: it is attached as soon as the call's record is written (bridge promises shows what waits).")


@cli.command()
def number(
    number: Annotated[str, typer.Argument(help="As a PBX shows it, or as somebody types it.")],
    portal: Annotated[str, typer.Option(help="The portal's url.")],
    trunk: Annotated[str, typer.Option(help="A PBX of the configuration; its own rules win.")] = "",
    config_file: ConfigFile = CONFIG,
) -> None:
    """What a number is taken for, what is dialled, what the CRM is asked."""
    settings = config.load(config_file)
    known = _portal_of(settings, portal)
    if trunk not in {"", *(each.name for each in settings.trunk)}:
        _fail(f"no [[trunk]] has the name {trunk}")
    for what, outcome in preview(number, Numbers(settings).rules(known, trunk)).items():
        out.print(f"{what:28}{outcome}", soft_wrap=True)


def _portal_of(settings: config.Settings, url: str) -> str:
    """The id of the named portal, or of the only one."""
    known = [portal.id for portal in settings.portal]
    wanted = config.portal_id(url) or url
    if not wanted and len(known) == 1:
        return known[0]
    if wanted not in known:
        _fail(f"no [[portal]] has the url {url}" if url else "there are several portals: name one with --portal")
    return wanted


@operators.command("list")
def list_operators(config_file: ConfigFile = CONFIG) -> None:
    """Everybody who has an account at a PBX, from the configuration and from imports."""
    settings = config.load(config_file)
    rows = asyncio.run(roster.ask(settings, read_keys(settings.keys), wish="list"))["operators"]
    columns = ("portal", "user", "extension", "trunk", "sip_user", "source")
    table = Table(*columns)
    for row in rows:
        table.add_row(*("nobody" if row[column] is None else str(row[column]) for column in columns))
    out.print(table if rows else "No operators.")


@operators.command("import")
def import_operators(
    file: Annotated[
        Path, typer.Argument(help="CSV; the first line names extension, sip_user, password, trunk, user_id.")
    ],
    portal: Annotated[str, typer.Option(help="The portal's url; not needed for an only one.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would become of each line.")] = False,
    config_file: ConfigFile = CONFIG,
) -> None:
    """Add or change SIP accounts from a table. Takes effect at once; a wrong line hinders no other."""
    settings = config.load(config_file)
    wanted = _portal_of(settings, portal)
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        _fail(f"{file}: {getattr(error, 'strerror', '') or 'not UTF-8 text'}")
    request = {"wish": "import", "portal": wanted, "text": text, "dry": dry_run}
    lines = asyncio.run(roster.ask(settings, read_keys(settings.keys), **request))["lines"]
    for line in lines:
        typer.echo(f"line {line['line']:>4}  {line['change']:9}  {line['text']}")
    counts = Counter(line["change"] for line in lines)
    typer.echo(", ".join(f"{number} {change}" for change, number in counts.items()) or "nothing in it")
    if dry_run:
        typer.echo("Nothing was changed: this was a dry run.")
    if counts["refused"]:
        raise typer.Exit(1)


@operators.command("remove")
def remove_operator(
    sip_user: str,
    trunk: Annotated[str, typer.Option(help="The PBX.")],
    portal: Annotated[str, typer.Option(help="The portal's url; not needed for an only one.")] = "",
    config_file: ConfigFile = CONFIG,
) -> None:
    """Forget an imported account."""
    settings = config.load(config_file)
    request = {"wish": "remove", "portal": _portal_of(settings, portal), "trunk": trunk, "sip_user": sip_user}
    asyncio.run(roster.ask(settings, read_keys(settings.keys), **request))
    typer.echo(f"Removed: {sip_user} at {trunk}")


@cli.command()
def keys() -> None:
    """Make a new key for BRIDGE_SECRET_KEYS."""
    typer.echo(new_key())


async def _until_told_to_stop() -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    await stop.wait()


def _fail(sentence: str) -> NoReturn:
    typer.echo(f"bridge: {sentence}", err=True)
    raise typer.Exit(1)


def main() -> None:
    """`bridge`, and `python -m bridge`: errors of this program are one sentence, not a traceback."""
    try:
        cli()
    except* BridgeError as errors:
        for error in _leaves(errors):
            typer.echo(f"bridge: {error}", err=True)
        sys.exit(1)


def _leaves(group: BaseExceptionGroup[Any]) -> Iterator[BaseException]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error


if __name__ == "__main__":
    main()
