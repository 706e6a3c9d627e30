"""From a good Snapshot to a running daemon: the one place where the master meets the code of its children.

Also where the daemon gets its run_dir, with the pid file and the admin socket in it.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import click

from fastnlb.board import LISTENER_CELLS, SERVER_CELLS, Board
from fastnlb.cli.origin import NOBODY, Origin, ancestors_page, counters, elders_page
from fastnlb.cli.rundir import PID_FILE, RunDir, RunDirError, claim
from fastnlb.control.first_look import first_look
from fastnlb.control.launch import Door, Launch, Shared, control_main, preload
from fastnlb.control.source import Start
from fastnlb.hardening import protect_memory
from fastnlb.master.admin_port import AdminPort
from fastnlb.master.admin_socket import AdminSocket
from fastnlb.master.arbiter import Arbiter
from fastnlb.master.exits import EXIT_CANNOT_START
from fastnlb.master.inherit import Predecessor
from fastnlb.master.pidfile import PidFile
from fastnlb.master.process import Seat, WorkerMain
from fastnlb.model import Settings, Snapshot
from fastnlb.privileges import Identity, become, identity, may
from fastnlb.stats.ledger import Ledger
from fastnlb.stats.page import Page
from fastnlb.worker.boot import make_fronts
from fastnlb.worker.run import main as worker_main

log = logging.getLogger("fastnlb.master")

CONTROL_KEEPS = ("DAC_READ_SEARCH",)
"""As root it reads certificates as the start did; as another user it reads what that user may."""


def serve(
    snapshot: Snapshot,
    settings: Settings,
    *,
    pid_file: Path | None = None,
    on_ready: Callable[[], None] | None = None,
    in_child: Callable[[], None] | None = None,
    start: Start | None = None,
    origin: Origin = NOBODY,
) -> int:
    """Runs the daemon to its end; its exit code.  `in_child` runs first in every child, `on_ready` here.

    `start` is the configuration file the Snapshot was read from; without one nothing can be reloaded.  `pid_file`
    takes the place of the one in run_dir.  `origin` is how this process came about.  Host names are resolved before
    anything else, which takes a few seconds when that fails.
    """
    snapshot = first_look(snapshot)
    elder = origin.predecessor
    try:
        run_dir = _run_dir(settings, elder)
    except RunDirError as error:
        click.echo(f"fastnlb: {error}", err=True)
        origin.failed(str(error))
        return EXIT_CANNOT_START
    board = Board.create(settings.workers)
    page = Page.create(board.places, Ledger.create(board.places, LISTENER_CELLS, SERVER_CELLS))
    fronts = make_fronts(snapshot)
    own_pid_file, admin = _held(run_dir, pid_file)
    admin_port = None if settings.admin_listen is None else AdminPort(*settings.admin_listen)
    elder_page = elders_page(elder)
    _remember(page, ancestors_page(elder))
    who = _identity(settings)

    def child(
        main: WorkerMain, keep: tuple[str, ...], before_leaving: Callable[[], None] = lambda: None
    ) -> WorkerMain:
        def begin(seat: Seat) -> int:
            if in_child is not None:
                in_child()
            if who is not None:
                before_leaving()
            become(who, keep)
            if not settings.core_dumps:
                protect_memory()  # a change of user takes half of it back
            return main(seat)

        return begin

    def clear_row(row: int) -> None:
        page.bury(row)
        board.clear_place(row)

    arbiter = Arbiter(
        settings,
        snapshot,
        child(partial(worker_main, page=page, board=board, fronts=fronts), _workers_keep(snapshot)),
        pid_file=own_pid_file,
        on_ready=on_ready,
        fronts=len(fronts),
        board=board,
        ledger=page.ledger,
        places=board.places,
        clear_row=clear_row,
        control_main=child(
            partial(
                control_main,
                shared=Shared(board, page, elder_page),
                launch=Launch(settings, snapshot, start),
                doors=partial(_doors, admin, admin_port),
            ),
            CONTROL_KEEPS if who is None else (),
            before_leaving=preload,
        ),
        admin=admin,
        admin_port=admin_port,
        command=origin.command,
        predecessor=elder,
        bequest=counters(page, elder_page),
    )
    try:
        return arbiter.run()
    finally:
        page.close()
        board.close()
        if elder_page is not None:
            elder_page.close()
        if run_dir is not None:
            run_dir.forget()


def _doors(admin: AdminSocket | None, port: AdminPort | None) -> list[Door]:
    """Where the control process is asked: only this user can open the socket, anybody the port."""
    doors = [] if admin is None else [Door(admin.listening, trusted=True)]
    return doors if port is None else [*doors, Door(port.listening)]


def _remember(page: Page, ancestor: Page | None) -> None:
    """What the process before the predecessor had counted."""
    if ancestor is not None:
        page.remember(ancestor)
        ancestor.close()


def _identity(settings: Settings) -> Identity | None:
    """Whom the children become; None for nobody else."""
    if settings.user is None:
        return None
    who = identity(settings.user)
    if os.geteuid() == 0:
        return who
    if os.geteuid() != who.uid:  # else it is that user already, in the groups it was given
        log.warning("user: %s: only root can become another user, serving as the present one", settings.user)
    return None


def _workers_keep(snapshot: Snapshot) -> tuple[str, ...]:
    """The lesser of two privileges that let a worker connect from the client's address, where that is asked for."""
    if not any(group.preserve_client_ip for group in snapshot.server_groups):
        return ()
    return ("NET_RAW",) if may("NET_RAW") else ("NET_ADMIN",)


def _run_dir(settings: Settings, elder: Predecessor | None) -> RunDir | None:
    """One that the configuration names has to be had; without one of its own a daemon can serve all the same."""
    theirs = None if elder is None else elder.facts.get("admin")
    try:
        return claim(settings.run_dir, settings.admin_socket, None if theirs is None else Path(theirs).parent)
    except RunDirError as error:
        if settings.run_dir is not None:
            raise
        log.warning("no admin socket: %s", error)
        return None


def _held(run_dir: RunDir | None, pid_file: Path | None) -> tuple[Path | None, AdminSocket | None]:
    """The pid file and the admin socket.  The folder's own pid file is held in any case: nobody shares a run_dir."""
    if run_dir is None:
        return pid_file, None
    in_folder = run_dir.path / PID_FILE
    apart = pid_file is not None and pid_file != in_folder
    return pid_file or in_folder, AdminSocket(run_dir.admin, PidFile(in_folder) if apart else None)
