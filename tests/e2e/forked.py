"""Commands that start at once: forked off a server that has imported the heavy libraries.

What is about the start of a process, is killed without mercy, or looks at a process from outside
(its command line, its environment) takes a process of its own; so does what starts or seeks a Ray,
whose library was not made to be forked.
"""

import contextlib
import functools
import json
import os
import select
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).parents[2]
SINGLE = {"JE_ARROW_MALLOC_CONF": "background_thread:false", "OMP_NUM_THREADS": "1"}
"""Settings of libraries that would start a thread when they are imported."""


class Forked:
    """An evolve command in a session of its own; as much of `subprocess.Popen` as is used."""

    def __init__(self, arguments, cwd, environment):
        self.args, self.returncode = arguments, None
        self._link, link = socket.socketpair(type=socket.SOCK_SEQPACKET)
        ours, theirs = zip(os.pipe(), os.pipe(), strict=True)
        request = {"arguments": arguments, "cwd": str(cwd), "environment": environment}
        socket.send_fds(_server(), [json.dumps(request).encode()], [*theirs, link.fileno()])
        for one in theirs:
            os.close(one)
        link.close()
        self.stdout, self.stderr = map(open, ours)
        self.pid = self._hear(120)

    def _hear(self, timeout):
        """What the server says next: the number of the process, then how it ended."""
        if not select.select([self._link], [], [], timeout)[0]:
            raise subprocess.TimeoutExpired(self.args, timeout)
        return int(self._link.recv(32))

    def wait(self, timeout=None):
        if self.returncode is None:
            self.returncode = self._hear(timeout)
            self._link.close()
        return self.returncode

    def poll(self):
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def send_signal(self, number):
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self):
        self.send_signal(signal.SIGKILL)

    def communicate(self, timeout=None):
        """All that it says until its end; what takes longer is killed with its group."""
        with ThreadPoolExecutor(2) as readers, self.stdout, self.stderr:
            texts = [readers.submit(stream.read) for stream in (self.stdout, self.stderr)]
            try:
                self.wait(timeout)
            except subprocess.TimeoutExpired:
                os.killpg(self.pid, signal.SIGKILL)
                raise
            return tuple(text.result() for text in texts)


def start(arguments, cwd, **environment):
    """Start an evolve command with this environment and more."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    return Forked(list(map(str, arguments)), cwd, environment)


def run(arguments, cwd, timeout=240, **environment):
    """As `subprocess.run` of an evolve command, with what it said."""
    process = start(arguments, cwd, **environment)
    said = process.communicate(timeout)
    return subprocess.CompletedProcess(arguments, process.returncode, *said)


@functools.cache
def _server():
    """The socket of a server that is started at the first use."""
    ours, theirs = socket.socketpair(type=socket.SOCK_SEQPACKET)
    subprocess.Popen(
        [sys.executable, "-m", "tests.e2e.fork_server", str(theirs.fileno())],
        pass_fds=[theirs.fileno()],
        cwd=ROOT,
        env={**os.environ, **SINGLE, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    theirs.close()
    return ours
