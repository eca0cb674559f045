"""One side kept in step with the other: a folder that tells of its changes, a store that is asked."""

import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import threading
import time

import botocore.exceptions
import pytest

from conftest import BINARY, environment, runner
from test_client_with_wigeon import admin, own  # noqa: F401
from test_object_commands import Store
from test_sync import ODD, place, read, write  # noqa: F401


def calmly(holds):
    """What is listed may be gone before it is read."""
    try:
        return holds()
    except (botocore.exceptions.ClientError, OSError):
        return False


class Watching:
    """`wigeon watch` on its way, with the JSON lines that it has printed."""

    def __init__(self, own, source, target, *more, settle="300ms"):
        self.log = open(own.home / "watch.log", "w+")
        command = [BINARY, "watch", "--json", "--events", "--settle", settle, *map(str, (source, target, *more))]
        self.process = subprocess.Popen(command, cwd=own.home, env=environment(own.home), stdin=subprocess.DEVNULL, stdout=self.log, stderr=subprocess.STDOUT)

    def lines(self, event=None):
        lines = [json.loads(line) for line in pathlib.Path(self.log.name).read_text().splitlines() if line.startswith("{")]
        return [line for line in lines if event is None or line.get("event") == event]

    def until(self, holds, seconds=30):
        deadline = time.monotonic() + seconds
        while not calmly(holds):
            assert self.process.poll() is None and time.monotonic() < deadline, pathlib.Path(self.log.name).read_text()[-4000:]
            time.sleep(0.1)

    def begun(self):
        self.until(lambda: self.lines("round"))
        return self

    def stop(self, how=signal.SIGINT):
        self.process.send_signal(how)
        return self.process.wait(timeout=30)


@pytest.fixture
def watching(own):  # noqa: F811
    running = []

    def start(*arguments, by=own, **settings):
        running.append(Watching(by, *arguments, **settings))
        return running[-1]

    yield start
    for one in running:
        if one.process.poll() is None:
            one.process.kill()
            one.process.wait()


def test_what_happens_in_a_folder_happens_in_the_store(own, place, watching):  # noqa: F811
    write(place.local, {"there": b"before", "gone": b"since", "d/e": b"1"})
    own("cp", place.local / "gone", f"{place.address}/gone")
    own("cp", place.local / "gone", f"{place.address}/stale")
    (place.local / "gone").unlink()
    watch = watching(place.local, place.address, "--delete", "--track-renames").begun()
    # What was written a moment ago is left until it is at rest.
    watch.until(lambda: place.objects() == {"there": b"before", "d/e": b"1"})
    # Created, changed within its size and its time, and all hard names.
    write(place.local, {name: os.urandom(index * 100) for index, name in enumerate(ODD)})
    watch.until(lambda: place.objects() == read(place.local))
    (place.local / "there").write_bytes(b"after!")
    watch.until(lambda: place.objects()["there"] == b"after!")
    # Renamed: no bytes go again.
    (place.local / "there").rename(place.local / "elsewhere")
    (place.local / "d").rename(place.local / "moved")
    watch.until(lambda: place.objects() == read(place.local))
    # Removed, a folder with all in it, a folder in a folder in a folder.
    shutil.rmtree(place.local / "deep")
    write(place.local, {"new/a/b/c/file": b"deep down", "new/x": b""})
    watch.until(lambda: place.objects() == read(place.local))
    write(place.local, {"new/a/b/c/second": b"the watches are there"})
    watch.until(lambda: place.objects() == read(place.local))
    # A folder that was moved away and came back under another name is watched as that.
    shutil.move(place.local / "new", place.local.with_name("outside"))
    watch.until(lambda: place.objects() == read(place.local))
    shutil.move(place.local.with_name("outside"), place.local / "inside")
    watch.until(lambda: place.objects() == read(place.local))
    write(place.local, {"inside/a/third": b"3"})
    watch.until(lambda: place.objects() == read(place.local))
    # Nothing is said where nothing happens, and an end in step is no error.
    rounds = len(watch.lines("round"))
    assert sum(line["moved"] for line in watch.lines("round")) >= 2
    time.sleep(1.5)
    assert len(watch.lines("round")) == rounds
    assert watch.stop() == 0


def test_a_file_is_sent_once_it_is_whole(own, place, watching):  # noqa: F811
    place.local.joinpath("first").write_bytes(b"1")
    watch = watching(place.local, place.address).begun()
    with open(place.local / "slow", "wb", buffering=0) as slow:
        for _ in range(4):
            slow.write(b"x" * 1000)
            time.sleep(0.8)
            assert "slow" not in place.objects()
        (place.local / "beside").write_bytes(b"not held up")
        watch.until(lambda: "beside" in place.objects())
        assert "slow" not in place.objects()
    watch.until(lambda: place.objects().get("slow") == b"x" * 4000)
    sent = [line["source"] for line in watch.lines("done")]
    assert sorted(sent) == ["beside", "first", "slow"]
    assert watch.stop(signal.SIGTERM) == 0


def test_ten_thousand_files_at_once(own, admin, place, watching):  # noqa: F811
    place.local.joinpath("first").write_bytes(b"1")
    watch = watching(place.local, place.address, "--delete").begun()
    for folder in range(100):
        (place.local / f"{folder}").mkdir()
        for number in range(100):
            (place.local / f"{folder}" / f"{number}").write_bytes(b"%d" % number)

    def count():
        pages = admin.get_paginator("list_objects_v2").paginate(Bucket="home", Prefix=place.prefix)
        return sum(page["KeyCount"] for page in pages)

    watch.until(lambda: count() == 10_001, seconds=300)
    # And at once they are gone.
    for folder in range(100):
        shutil.rmtree(place.local / f"{folder}")
    watch.until(lambda: count() == 1, seconds=120)
    assert watch.stop() == 0


def test_removals_are_guarded_and_filters_hold(own, place, watching):  # noqa: F811
    write(place.local, {"a": b"1", "b": b"2", "c": b"3", "skip/x": b"4", "note.tmp": b"5"})
    watch = watching(place.local, place.address, "--delete", "--max-delete", "1", "--exclude", "skip/", "--exclude", "*.tmp").begun()
    watch.until(lambda: sorted(place.objects()) == ["a", "b", "c"])
    (place.local / "a").unlink()
    watch.until(lambda: sorted(place.objects()) == ["b", "c"])
    write(place.local, {"skip/y": b"6", "other.tmp": b"7", "d": b"8"})
    watch.until(lambda: sorted(place.objects()) == ["b", "c", "d"])
    # More than may be removed, in one round.
    for name in "cd":
        (place.local / name).unlink()
    watch.until(lambda: "2 files would be removed, and 1 are allowed" in pathlib.Path(watch.log.name).read_text())
    assert sorted(place.objects()) == ["b", "c", "d"]
    watch.stop()
    # A folder whose last file goes is no reason to empty the target.
    shutil.rmtree(place.local / "skip")
    watch = watching(place.local, place.address, "--delete").begun()
    watch.until(lambda: sorted(place.objects()) == ["b", "note.tmp", "other.tmp"])
    for path in place.local.iterdir():
        path.unlink()
    watch.until(lambda: "the source is empty" in pathlib.Path(watch.log.name).read_text())
    assert sorted(place.objects()) == ["b", "note.tmp", "other.tmp"]


class Switch:
    """A way to a server that can be cut, and mended."""

    def __init__(self, port):
        self.port, self.on, self.listener = port, True, socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.open = []
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                here, _ = self.listener.accept()
            except OSError:
                return
            if not self.on:
                here.close()
                continue
            there = socket.create_connection(("127.0.0.1", self.port))
            self.open += [here, there]
            for one, other in ((here, there), (there, here)):
                threading.Thread(target=self.pump, args=(one, other), daemon=True).start()

    def pump(self, one, other):
        try:
            while data := one.recv(65536):
                other.sendall(data)
        except OSError:
            pass
        for side in (one, other):
            try:
                side.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def cut(self):
        self.on = False
        for side in self.open:
            try:
                side.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


def test_a_store_that_is_away_for_a_while(server, tmp_path, place, watching):  # noqa: F811
    switch = Switch(int(server.address.rsplit(":", 1)[1]))
    run = runner(tmp_path)
    Store(run, "k", switch.url, server.root["aws_access_key_id"], server.root["aws_secret_access_key"])
    write(place.local, {"a": b"1"})
    watch = watching(place.local, f"k:home/{place.prefix}", "--delete", by=run).begun()
    watch.until(lambda: place.objects() == {"a": b"1"})
    switch.cut()
    write(place.local, {"b": b"2", "c/d": b"3"})
    (place.local / "a").unlink()
    watch.until(lambda: watch.lines("error"), seconds=90)
    assert watch.lines("error")[0]["retry_in_seconds"] >= 1
    write(place.local, {"e": b"5"})
    switch.on = True
    watch.until(lambda: place.objects() == {"b": b"2", "c/d": b"3", "e": b"5"}, seconds=90)
    assert watch.stop() == 0
    # The folder itself goes and comes back; one that never was is an error.
    watch = watching(place.local, f"k:home/{place.prefix}", "--delete", by=run).begun()
    place.local.rename(place.local.with_name("away"))
    watch.until(lambda: watch.lines("error"))
    place.local.with_name("away").rename(place.local)
    write(place.local, {"f": b"6"})
    watch.until(lambda: "f" in place.objects())
    write(place.local, {"g": b"7"})
    watch.until(lambda: place.objects() == read(place.local))
    assert watch.stop() == 0
    assert watching(place.local / "never", f"k:home/{place.prefix}", by=run).process.wait(timeout=30) == 1


def test_a_store_is_looked_at(own, admin, place, watching):  # noqa: F811
    for name in ("a", "b/c", "b/c/d"):
        admin.put_object(Bucket="home", Key=f"{place.prefix}/{name}", Body=name.encode())
    watch = watching(place.address, place.local, "--interval", "500ms", "--delete").begun()
    own("check", place.address, place.local)
    admin.put_object(Bucket="home", Key=f"{place.prefix}/new", Body=b"new")
    admin.put_object(Bucket="home", Key=f"{place.prefix}/a", Body=b"other")
    admin.delete_object(Bucket="home", Key=f"{place.prefix}/b/c")
    watch.until(lambda: (place.local / "new").exists() and (place.local / "a").read_bytes() == b"other")
    watch.until(lambda: not (place.local / "b" / "c").is_file())
    own("check", place.address, place.local)
    assert watch.stop() == 0


def test_what_the_kernel_could_not_tell_is_found(own, admin, place, watching):  # noqa: F811
    most = int(pathlib.Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    if most > 20_000:
        pytest.skip("its queue takes more events than there are files here")
    place.local.joinpath("first").write_bytes(b"1")
    watch = watching(place.local, place.address).begun()
    watch.process.send_signal(signal.SIGSTOP)
    files = most // 3 + 500
    for number in range(files):
        (place.local / f"f{number}").write_bytes(b"%d" % number)
    # Nobody hears of this one: it has a watch all the same, once everything has been looked at.
    write(place.local, {"late/folder/file": b"l"})
    watch.process.send_signal(signal.SIGCONT)

    def count():
        pages = admin.get_paginator("list_objects_v2").paginate(Bucket="home", Prefix=place.prefix)
        return sum(page["KeyCount"] for page in pages)

    watch.until(lambda: count() == files + 2, seconds=200)
    write(place.local, {"late/folder/second": b"s"})
    watch.until(lambda: count() == files + 3)
    assert watch.stop() == 0


def test_the_limit_of_watches_is_explained(own, place):  # noqa: F811
    for number in range(9):
        (place.local / f"{number}").mkdir()
    inside = 'echo 5 > /proc/sys/user/max_inotify_watches && exec "$@"'
    command = ["unshare", "--user", "--map-root-user", "sh", "-c", inside, "sh", BINARY, "watch", place.local, place.address]
    if subprocess.run([*command[:5], "exit 0", "sh"], capture_output=True).returncode != 0:
        pytest.skip("there are no user namespaces here")
    done = subprocess.run(command, cwd=own.home, env=environment(own.home), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1, done.stderr
    for words in ("the system watches no more folders", "fs.inotify.max_user_watches", "--poll", "--exclude"):
        assert words in done.stderr
