"""The real Arbiter with a worker of a hundred lines of Python, for tests of the master.

    python -m support.tiny_daemon FOLDER WORKERS PORT [PORT ...]

Listener `lN` is on the N-th port of 127.0.0.1.  A worker answers each connection with "index pid port" and
closes it.  Files in FOLDER steer it, as it comes to the point:

    refuse            `prepare` is answered with `refused`
    refuse-boot       the worker ends with WORKER_REFUSED before `booted`
    crash-INDEX       worker INDEX ends with code 9 before `booted`
    crash-prepare     the worker ends with code 9 instead of `prepared`
    raise             worker_main raises
    hold-applied-INDEX, hold-drain    that step waits until the file is gone
    deaf              `drain` and `stop` are ignored
    nonsense          the worker sends a packet that is no frame, once (removes the file)
    impostor          the worker sends a frame of the control process, once (removes the file)
    births            gets a line "index seconds" for each start of a worker

TINY_CONTROL=1 adds a control process that proposes the ports in FOLDER/next at each `reload`, without a wait for the
outcome, and writes what it is told to FOLDER/told.  The file `control-impostor` makes it send a frame of a worker.

USR2 makes the master apply the ports in FOLDER/next.  TINY_PATIENCE: seconds that a worker has for an answer.
"""

from __future__ import annotations

import logging
import os
import select
import socket
import sys
import time
from collections.abc import Iterable
from pathlib import Path

from fastnlb.channel import (
    Channel,
    ChannelClosed,
    Frame,
    decode_offer,
    encode_snapshot,
    payload_descriptor,
    read_payload,
)
from fastnlb.master import rollout
from fastnlb.master.arbiter import Arbiter
from fastnlb.master.listen import CannotListen
from fastnlb.master.process import WORKER_REFUSED, Seat
from fastnlb.model import TCP, Listener, Server, ServerGroup, Settings, Snapshot, SocketKey


class TinyWorker:
    """Speaks the worker's side of the channel as the table in fastnlb.channel has it."""

    def __init__(self, seat: Seat, folder: Path) -> None:
        self.seat, self.folder, self.channel = seat, folder, seat.channel
        self.staged: dict[SocketKey, socket.socket] = {}
        self.serving: dict[SocketKey, socket.socket] = {}
        self.wanted: list[SocketKey] = []

    def main(self) -> int:
        with (self.folder / "births").open("a") as births:
            births.write(f"{self.seat.index} {time.monotonic()}\n")
        if self.flag("raise"):
            raise RuntimeError("told to raise")
        if self.flag("refuse-boot"):
            return WORKER_REFUSED
        if self.flag(f"crash-{self.seat.index}"):
            os._exit(9)
        self.channel.send("booted")
        while True:
            try:
                code = self.turn()
            except ChannelClosed:
                return 0
            if code is not None:
                return code

    def flag(self, name: str) -> bool:
        return (self.folder / name).exists()

    def turn(self) -> int | None:
        if self.flag("impostor"):
            (self.folder / "impostor").unlink(missing_ok=True)
            self.channel.send("reloaded")
        if self.flag("nonsense"):
            (self.folder / "nonsense").unlink(missing_ok=True)
            with socket.socket(fileno=os.dup(self.channel.fileno())) as raw:
                raw.send(b"this is no frame")
        ready, _, _ = select.select([self.channel, *self.serving.values()], [], [], 0.02)
        for source in ready:
            if isinstance(source, Channel):
                while (frame := self.channel.receive()) is not None:
                    code = self.obey(frame)
                    if code is not None:
                        return code
            elif isinstance(source, socket.socket) and source.fileno() >= 0:
                self.answer(source)
        return None

    def answer(self, listener: socket.socket) -> None:
        try:
            connection, _ = listener.accept()
        except BlockingIOError:
            return
        with connection:
            port = connection.getsockname()[1]
            connection.sendall(f"{self.seat.index} {os.getpid()} {port}\n".encode())

    def obey(self, frame: Frame) -> int | None:
        generation = frame.fields.get("generation")
        if frame.kind == "sockets":
            keys = [(name, port) for name, ports in frame.fields["ports"].items() for port in ports]
            for key, fd in zip(keys, frame.fds, strict=True):
                self.staged[key] = socket.socket(fileno=fd)
        elif frame.kind == "prepare":
            self.prepare(frame, generation)
        elif frame.kind == "commit":
            self.commit()
            self.wait_while(f"hold-applied-{self.seat.index}")
            self.channel.send("applied", generation=generation)
            self.channel.send("parted", generation=generation)
        elif frame.kind == "rollback":
            self.drop(self.staged)
        elif not self.flag("deaf"):
            if frame.kind == "retire":
                self.drop(self.serving)
                self.channel.send("parted", generation=generation)
            return self.leave(frame.kind)
        return None

    def prepare(self, frame: Frame, generation: int | None) -> None:
        offer = decode_offer(read_payload(frame.fds[0]))
        frame.close()
        if self.flag("crash-prepare"):
            os._exit(9)
        if self.flag("refuse"):
            self.channel.send("refused", generation=generation, message="told to refuse")
            return
        self.wanted = [key for each in offer.snapshot.active_listeners() for key in offer.socket_keys(each)]
        self.channel.send("prepared", generation=generation)

    def commit(self) -> None:
        replaced = {key: sock for key, sock in self.serving.items() if key in self.staged}
        gone = {key: sock for key, sock in self.serving.items() if key not in self.wanted}
        self.serving = {**self.serving, **self.staged}
        self.staged = {}
        for key in gone:
            self.serving.pop(key).close()
        self.drop(replaced)
        assert sorted(self.serving) == sorted(self.wanted)

    def leave(self, kind: str) -> int:
        self.drop(self.serving)
        if kind != "stop":
            self.wait_while("hold-drain")
            self.channel.send("drained")
        return 0

    def drop(self, sockets: dict[SocketKey, socket.socket]) -> None:
        for sock in sockets.values():
            sock.close()
        sockets.clear()

    def wait_while(self, name: str) -> None:
        while self.flag(name):
            time.sleep(0.005)


class TinyControl:
    """Speaks the control process's side."""

    def __init__(self, seat: Seat, folder: Path) -> None:
        self.channel, self.folder = seat.channel, folder
        self.serial = 0

    def main(self) -> int:
        self.channel.send("booted")
        while True:
            select.select([self.channel], [], [])
            try:
                while (frame := self.channel.receive()) is not None:
                    if frame.kind == "stop":
                        return 0
                    self.obey(frame)
            except ChannelClosed:
                return 0

    def obey(self, frame: Frame) -> None:
        if frame.kind == "current":
            snapshot = decode_offer(read_payload(frame.fds[0])).snapshot
            frame.close()
            self.note("current", *(listener.port for listener in snapshot.active_listeners()))
        elif frame.kind == "outcome":
            self.note("outcome", *frame.fields.values())
        elif frame.kind == "state":
            pass
        elif (self.folder / "control-impostor").exists():
            (self.folder / "control-impostor").unlink()
            self.channel.send("prepared", generation=1)
        else:
            self.propose([int(word) for word in (self.folder / "next").read_text().split()])
            self.channel.send("reloaded")

    def propose(self, ports: Iterable[int]) -> None:
        self.serial += 1
        payload = payload_descriptor(encode_snapshot(snapshot_of(ports)))
        self.channel.send("propose", [payload], serial=self.serial)
        os.close(payload)
        self.note("proposed", self.serial)

    def note(self, *words: object) -> None:
        with (self.folder / "told").open("a") as told:
            told.write(" ".join(map(str, words)) + "\n")


class TinyArbiter(Arbiter):
    """USR2 applies other ports, as no command does yet."""

    folder: Path

    def handle_usr2(self) -> None:
        ports = [int(word) for word in (self.folder / "next").read_text().split()]
        try:
            self.apply(snapshot_of(ports))
        except CannotListen as error:
            logging.getLogger("tiny").error("not applied: %s", error)


def snapshot_of(ports: Iterable[int]) -> Snapshot:
    group = ServerGroup("g", (Server("127.0.0.1", 9),))
    listeners = (Listener(f"l{number}", TCP, "127.0.0.1", port, "g") for number, port in enumerate(ports))
    return Snapshot(listeners=tuple(listeners), server_groups=(group,))


def main() -> int:
    logging.basicConfig(level=logging.DEBUG, format="%(levelname)s %(message)s", stream=sys.stderr)
    folder, workers, ports = Path(sys.argv[1]), int(sys.argv[2]), [int(port) for port in sys.argv[3:]]
    timeout = int(os.environ.get("TINY_SHUTDOWN_TIMEOUT", "10"))
    pid_file = os.environ.get("TINY_PID_FILE")
    patience = float(os.environ.get("TINY_PATIENCE", "60"))
    rollout.PREPARE_SECONDS = rollout.COMMIT_SECONDS = patience
    TinyArbiter.folder = folder
    arbiter = TinyArbiter(
        Settings(workers=workers, shutdown_timeout=timeout, core_dumps=True),  # or only root may look at it
        snapshot_of(ports),
        lambda seat: TinyWorker(seat, folder).main(),
        pid_file=pid_file,
        on_ready=(folder / "on-ready").touch,
        control_main=(lambda seat: TinyControl(seat, folder).main()) if "TINY_CONTROL" in os.environ else None,
    )
    return arbiter.run()


if __name__ == "__main__":
    sys.exit(main())
