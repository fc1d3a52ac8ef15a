"""Starts the name server's process, stops it, and starts it again where it was.

The process is in a session of its own (the terminal's Ctrl-C is not for it) and holds the other end of a pipe as
its standard input: when this process ends, however it ends, the pipe does too, and the name server with it.
"""

from __future__ import annotations

import json
import select
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from nameserver.server import PORT_TAKEN
from peers.errors import TownError
from peers.processes import end, log_of_program
from peers.waiting import wait_until


class NameServerProcess:
    """A name server of our own. `port` 0 has one picked, which is then kept for every later start; `tls` is the
    directory with the town's certificates, None where it serves everybody; `journals` are handed out besides: the
    town's directory and what its terminal is called."""

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        log: str | Path | None = None,
        *,
        tls: str | Path | None = None,
        journals: tuple[Path, str] | None = None,
    ) -> None:
        self.host = host
        self.port = port
        self._tls = tls
        self._journals = journals
        self._log = Path(log) if log is not None else None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def alive(self) -> bool:
        """Whether the process runs (a stopped one does)."""
        return self._process is not None and self._process.poll() is None

    def launch(self) -> None:
        """Starts the process without waiting for it; `wait_ready` must follow. TownError if it cannot be started."""
        command = [sys.executable, "-P", "-m", "nameserver", "--lifeline"]
        command += ["--host", self.host, "--port", str(self.port)]
        if self._journals is not None:
            directory, terminal = self._journals
            command += ["--journals", str(directory), "--terminal", terminal]
        if self._tls is not None:
            command += ["--tls", str(self._tls)]
        try:
            with log_of_program(self._log) as log:
                self._process = subprocess.Popen(
                    command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, start_new_session=True
                )
        except OSError as error:
            raise TownError(f"the name server cannot be started ({error.strerror or error})") from error

    def wait_ready(self, timeout_s: float = 15.0) -> None:
        """Returns once it answers; TownError if it cannot."""
        process = self._process
        assert process is not None
        assert process.stdout is not None
        ready, _, _ = select.select([process.stdout], [], [], timeout_s)
        line = process.stdout.readline() if ready else b""
        if line:
            self.port = int(json.loads(line)["port"])
            return
        code = None
        if ready:
            with suppress(subprocess.TimeoutExpired):
                code = process.wait(1.0)
        self.kill()
        where = f"{self.host} port {self.port}"
        if code == PORT_TAKEN:
            raise TownError(f"the name server cannot listen on {where}: choose another --nameserver-port, or none")
        raise TownError(f"the name server did not come up on {where} (exit code {code}); see {self._log}")

    def start(self, timeout_s: float = 15.0) -> None:
        """Starts it and waits until it answers; TownError if it cannot. Does nothing if it runs already."""
        if not self.alive():
            self.launch()
            self.wait_ready(timeout_s)

    def restart(self, timeout_s: float = 15.0) -> None:
        """Starts a new one on the same port, where names have to be registered again; TownError if it cannot."""
        self.kill()
        # Connections of the process before may hold the port for a moment.
        if not wait_until(lambda: self._has_started(timeout_s), timeout_s):
            self.start(timeout_s)  # This last try raises what is wrong.

    def _has_started(self, timeout_s: float) -> bool:
        with suppress(TownError):
            self.start(timeout_s)
        return self.alive()

    def stop(self, timeout_s: float = 2.0) -> None:
        """Ends it: asked first, killed after `timeout_s`."""
        process = self._process
        if process is not None:
            end(process, timeout_s)
            self._let_go(process)

    def kill(self) -> None:
        """Ends it at once."""
        process = self._process
        if process is not None:
            process.kill()
            self._let_go(process)

    def _let_go(self, process: subprocess.Popen[bytes]) -> None:
        """Forgets a process that ends. One thread may stop it while another still waits for it to come up."""
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
        if self._process is process:
            self._process = None
