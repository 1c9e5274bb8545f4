"""Several of our own programs as one: one log, one stop, and the end of one is the end of all."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from meshtrial.errors import NotStarted
from meshtrial.logs import EventLog

_TIED_TO_PARENT: Final = """
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGTERM)
if os.getppid() == int(sys.argv[1]):
    os.execv(sys.executable, [sys.executable, *sys.argv[2:]])
"""
"""Asks Linux for a SIGTERM when the supervisor dies (PR_SET_PDEATHSIG: prctl(2)), then becomes the program.

So even a supervisor that was killed outright leaves no orphans, and what they held is written.
"""
_GRACE: Final = 20.0
"""Seconds between SIGTERM and SIGKILL: sidecar and collector drain for 5, then write what they have."""
_LONGEST_LINE: Final = 1 << 20
_LOG = EventLog("up")


@dataclass(slots=True)
class Part:
    """One program that runs."""

    component: str
    """What its log lines are marked with."""
    process: asyncio.subprocess.Process
    ready: asyncio.Future[Mapping[str, str]]
    """What its `ready` line says."""
    said: list[str] = field(default_factory=list)
    """Lines that are no events: what it ends with when it does not come up."""
    copied: asyncio.Task[None] | None = None

    async def ended(self) -> int:
        """Its exit status, once it has ended and all it said has been written; 128 + n for a signal n."""
        status = await self.process.wait()
        if self.copied is not None:
            await asyncio.shield(self.copied)
        return status if status >= 0 else 128 - status

    def hang_up(self) -> None:
        """Pass a SIGHUP on; nothing where it has ended."""
        with suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGHUP)

    async def stop(self) -> int:
        """Ask it to stop, and make it where it does not; its exit status."""
        with suppress(ProcessLookupError):
            self.process.terminate()
        try:
            return await asyncio.wait_for(self.ended(), _GRACE)
        except TimeoutError:
            _LOG.error("killed", component=self.component, after_seconds=_GRACE)
            with suppress(ProcessLookupError):
                self.process.kill()
            return await self.ended()


async def start(component: str, arguments: Sequence[str], stop: asyncio.Event) -> Part | None:
    """Run `meshtrial ARGUMENTS` until it says that it is ready; None where `stop` is set before that.

    Raises:
        NotStarted: It ended before; the message is what it said.
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", "-S", "-c", _TIED_TO_PARENT, str(os.getpid()), "-m", "meshtrial", *arguments),
        stdin=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        limit=_LONGEST_LINE,
        # Ctrl-C is for us alone: we stop one after the other.
        start_new_session=True,
    )
    part = Part(component, process, asyncio.get_running_loop().create_future())
    part.copied = asyncio.create_task(_copy(part))
    ended, stopped = asyncio.ensure_future(part.ended()), asyncio.ensure_future(stop.wait())
    first: set[asyncio.Future[Any]] = {part.ready, ended, stopped}
    await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    if part.ready.done():
        ended.cancel()
        return part
    if ended.done():
        said = "\n".join(part.said) or f"it ended with status {ended.result()}"
        raise NotStarted(f"the {component} did not start: {said}")
    ended.cancel()
    await part.stop()
    return None


async def watch(parts: Sequence[Part], stop: asyncio.Event) -> int:
    """Wait for `stop` or the end of a part, then stop the parts in their order.

    Returns:
        0 after `stop`, where all ended well; else the status of the first part that did not, never 0.
    """
    ends = {asyncio.ensure_future(part.ended()): part for part in parts}
    stopped = asyncio.ensure_future(stop.wait())
    done, _ = await asyncio.wait({*ends, stopped}, return_when=asyncio.FIRST_COMPLETED)
    status = 0
    for task in done - {stopped}:
        ended = task.result()
        _LOG.error("ended", component=ends[task].component, status=ended)
        status = status or ended or 1
    for task in (*ends, stopped):
        task.cancel()
    for part in parts:
        ended = await part.stop()
        status = status or ended
    return status


async def _copy(part: Part) -> None:
    """A part's lines into our own log, each marked with its component."""
    stderr = part.process.stderr
    while stderr is not None and (line := await _line(stderr)):
        text = line.decode("utf-8", "replace").rstrip("\n")
        event = _event(text)
        if event is None:
            part.said.append(text)
            if part.ready.done():
                _LOG.error("output", component=part.component, text=text)
            continue
        marked = {**dict(list(event.items())[:2]), "component": part.component, **event}
        with suppress(OSError):  # whoever reads our log is gone, and the program goes on
            sys.stderr.write(json.dumps(marked, ensure_ascii=False) + "\n")
            sys.stderr.flush()
        if event.get("event") == "ready" and not part.ready.done():
            part.ready.set_result({key: str(value) for key, value in event.items()})


async def _line(stream: asyncio.StreamReader) -> bytes:
    try:
        return await stream.readline()
    except ValueError:  # longer than the limit: dropped
        return b"(a line that was too long)\n"


def _event(text: str) -> dict[str, object] | None:
    try:
        found = json.loads(text)
    except ValueError:
        return None
    return found if isinstance(found, dict) and "event" in found else None
