"""A process that has imported the heavy libraries, and becomes an `evolve` command in each child.

It starts no thread, so that a child is whole. `evolve` itself is imported anew by every command,
as ``python -m evolve`` does it. The server ends with the process that started it, and its children
with it. `tests.e2e.forked` is the other side.
"""

import gc
import importlib
import json
import os
import runpy
import signal
import socket
import sys
from pathlib import Path

HEAVY = (
    "alembic.command", "cv2", "jinja2", "matplotlib.backends.backend_agg",
    "matplotlib.backends.backend_svg", "matplotlib.figure", "optuna.importance",
    "optuna.storages", "pandas", "pycocotools.cocoeval", "pydantic", "ray.tune", "rich.live",
    "rich.progress", "scipy.optimize", "scipy.stats", "sklearn.datasets", "sklearn.ensemble",
    "sqlalchemy.dialects.sqlite", "torch.utils.data", "yaml",
)  # fmt: skip
LONGEST = 1 << 20  # bytes of a request


def main():
    """Serve, and in a child run the command that was asked for."""
    orders = socket.socket(fileno=int(sys.argv[1]))
    for name in HEAVY:
        importlib.import_module(name)
    warm_up()
    gc.collect()
    gc.freeze()  # a child's collections leave the pages alone that it shares
    request, descriptors = serve(orders)
    if request is not None:
        become(request, descriptors)


def warm_up():
    """Let Optuna's tables and their migrations be read once, as every run has to."""
    storage = importlib.import_module("optuna.storages").RDBStorage("sqlite://")
    storage.remove_session()
    storage.engine.dispose()


def serve(orders):
    """Fork for every request; in a child, the request and the descriptors it came with."""
    links = {}  # of the children that run, to those who wait for them

    def bury(*_):
        for pid in list(links):
            if (ended := os.waitpid(pid, os.WNOHANG))[0]:
                tell(links.pop(pid), os.waitstatus_to_exitcode(ended[1]), last=True)

    signal.signal(signal.SIGCHLD, bury)
    while True:
        message, descriptors, *_ = socket.recv_fds(orders, LONGEST, 3)
        if not message:
            for pid in links:
                os.kill(pid, signal.SIGKILL)
            return None, ()
        assert len(list(Path("/proc/self/task").iterdir())) == 1, "a thread would be lost"
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
        pid = os.fork()
        *streams, link = descriptors
        if not pid:
            for one in (orders, *links.values(), socket.socket(fileno=link)):
                one.close()
            return json.loads(message), streams
        for stream in streams:
            os.close(stream)
        links[pid] = socket.socket(fileno=link)
        tell(links[pid], pid)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})


def tell(link, number, last=False):
    """Send a number to who waits for a child, if anybody still does."""
    try:
        link.send(str(number).encode())
    except BrokenPipeError:
        last = True
    if last:
        link.close()


def refuse(*_arguments, **_options):
    """In the place of what starts Ray, whose library was not made to be forked."""
    raise AssertionError("Traceback: a test that needs Ray starts its command anew")


def become(request, descriptors):
    """Be ``python -m evolve`` from here on."""
    os.setsid()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    for stream, ours in zip((1, 2), descriptors, strict=True):
        os.dup2(ours, stream)
        os.close(ours)
    os.environ.clear()
    os.environ |= request["environment"]
    os.chdir(request["cwd"])
    sys.path[0] = request["cwd"]
    sys.argv[1:] = request["arguments"]
    importlib.import_module("ray").init = refuse
    runpy.run_module("evolve", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
