"""Where sign-ins are kept: sealed files, a passphrase, the agent's memory, and a real keychain (gnome-keyring)."""

import hashlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time

import pytest

from conftest import BINARY, Kept, environment, runner
from test_client_with_wigeon import edit, profile, root

CREDENTIALS = ("secret_key", "session_token")
TOKENS = ("id_token", "refresh_token", "access_token")


@pytest.fixture(scope="module")
def admin(server):
    return root(server)


@pytest.fixture
def fresh(home, server, identity, admin, browse):
    """A home with the profile `own` and nobody signed in; `run.login` signs in."""
    run = runner(home)
    (home / "own.toml").write_text(profile(server, identity.issuer))
    run("profile", "import", "own.toml", "--name", "own")
    run.login = lambda *arguments, env=None, **more: run("login", "own", *arguments, env={"BROWSER": str(browse), **(env or {})}, **more)
    yield run
    run("agent", "stop")


def secrets_of(record):
    kept = [record[name] for name in TOKENS] + [record["session"]["credentials"][name] for name in CREDENTIALS]
    assert all(kept) and all(len(secret) > 15 for secret in kept)
    return kept


def written(folder):
    """Everything in files, as bytes."""
    return b"".join(file.read_bytes() for file in folder.rglob("*") if file.is_file() and not file.is_symlink())


def in_memory(home, name="own"):
    """The record that the agent has in memory, asked for at its socket."""
    places = {"config": str(home / ".config/wigeon"), "state": str(home / ".local/state/wigeon"), "ca_file": None}
    with socket.socket(socket.AF_UNIX) as agent:
        agent.connect(str(home / ".local/state/wigeon/run/agent.sock"))
        agent.sendall(json.dumps({"version": 1, "places": places, "ask": {"kept": name}}).encode() + b"\n")
        answer = b""
        while part := agent.recv(65536):
            answer += part
    return json.loads(json.loads(answer)["kept"])


def everything(run, *more):
    """Uses the session in every way that writes something; gives all that was said, but what is meant to be said."""
    said = ""
    for arguments in (["whoami", "own"], ["status"], ["token", "own"], ["doctor", "own"], ["ls", "own:"], ["agent", "status"],
                      ["exec", "own", "--", "true"], ["setup", "aws", "own"], ["setup", "rclone", "own"], ["cp", "own:shared/readme.txt", "."]):
        done = run(*more, *arguments)
        said += done.stdout + done.stderr
    for arguments in (["credentials", "own"], ["env", "own"], ["token", "own", "--raw", "--fresh"]):
        said += run(*more, *arguments).stderr
    return said


def test_a_full_run_writes_no_secret_anywhere(fresh, home):
    """What is kept is read by another implementation, so that it is known what must be nowhere else."""
    said = "".join(getattr(fresh.login("-vv"), stream) for stream in ("stdout", "stderr"))
    fresh("agent", "start", "-vv")
    kept = Kept(home, "own")
    assert kept.path.stat().st_mode & 0o777 == 0o600 and kept.path.read_bytes().startswith(b"wigeon-sealed 1 file ")
    secrets = secrets_of(json.loads(kept.read_text()))
    said += everything(fresh, "-vv")
    edit(kept, lambda credentials: credentials.update(expires_at="2020-01-01T00:00:00Z"))
    fresh("agent", "stop")
    fresh("agent", "start", env={"WIGEON_LOG": "trace"})
    said += everything(fresh, "-vv")
    secrets += secrets_of(json.loads(kept.read_text()))
    assert len(set(secrets)) > len(TOKENS + CREDENTIALS), "a renewal came in between"
    said += "".join(getattr(fresh("logout", "own", "-vv"), stream) for stream in ("stdout", "stderr"))
    everywhere = said.encode() + written(home)
    assert not [secret[:8] for secret in secrets if secret.encode() in everywhere]


def test_what_an_earlier_version_kept_goes_on_encrypted(fresh, home):
    fresh.login()
    kept = Kept(home, "own")
    text = kept.read_text()
    record = json.loads(text)
    # As it was: a plain file, and no keys.
    plain = kept.path.with_suffix(".json")
    kept.path.unlink()
    shutil.rmtree(kept.sessions / "keys")
    plain.write_text(text)
    plain.chmod(0o600)
    assert json.loads(fresh("credentials", "own").stdout)["AccessKeyId"] == record["session"]["credentials"]["access_key_id"]
    assert not plain.exists() and json.loads(kept.read_text()) == record
    assert not [secret[:8] for secret in secrets_of(record) if secret.encode() in written(home)]
    # And the refresh token still renews.
    edit(kept, lambda credentials: credentials.update(expires_at="2020-01-01T00:00:00Z"))
    fresh("credentials", "own")


def test_memory_leaves_nothing_on_the_disk(fresh, home):
    assert fresh.login("--store", "memory").stdout.startswith("Signed in as alice@example.test (own).")
    record = in_memory(home)
    assert json.loads(fresh("credentials", "own").stdout)["AccessKeyId"] == record["session"]["credentials"]["access_key_id"]
    assert json.loads(fresh("status", "own", "--json").stdout)["kept"] == "memory"
    said = everything(fresh)
    everywhere = said.encode() + written(home)
    assert not [secret[:8] for secret in secrets_of(record) if secret.encode() in everywhere]
    assert not list(home.rglob("*.sealed"))
    fresh("agent", "stop")
    assert fresh("credentials", "own", code=4).stderr == 'Sign-in needed for profile "own". Run: wigeon login own\n'
    # Without an agent there is no such place, and that is known before anyone signs in.
    done = fresh.login("--store", "memory", env={"WIGEON_AGENT": "none"}, code=1)
    assert "agent" in done.stderr and "http" not in done.stderr


def test_switch_sees_accounts_in_memory(fresh):
    fresh.login("--store", "memory")
    fresh.login("--store", "memory", env={"WIGEON_TEST_LOGIN": "bob"})
    assert fresh("whoami", "own").stdout.startswith("Signed in as bob@example.test")
    assert fresh("switch", "alice@example.test", "--profile", "own").stdout.startswith("Signed in as alice@example.test (own).")
    assert fresh("whoami", "own").stdout.startswith("Signed in as alice@example.test")
    assert "alice@example.test, bob@example.test" in fresh("switch", "carol", "--profile", "own", code=2).stderr
    assert json.loads(fresh("status", "own", "--json").stdout)["kept"] == "memory"
    fresh("logout", "own")
    assert "nobody has signed in" in fresh("switch", "bob@example.test", "--profile", "own", code=2).stderr


def test_memory_can_be_configured_and_left_again(fresh, home):
    (home / ".config/wigeon/config.toml").write_text('store = "memory"\n')
    fresh.login()
    assert in_memory(home)["identity"]["user"] == "alice@example.test"
    fresh.login("--store", "file")
    assert json.loads(fresh("status", "own", "--json").stdout)["kept"] == "file"
    fresh("agent", "stop")
    fresh("credentials", "own")
    assert "auto, keychain, file, passphrase, memory" in fresh("login", "own", env={"WIGEON_STORE": "safe"}, code=2).stderr


def test_a_passphrase_opens_and_another_does_not(fresh, home):
    (home / "passphrase").write_text("correct horse battery staple\n")
    right = {"WIGEON_PASSPHRASE_FILE": str(home / "passphrase")}
    assert "nobody to ask" in fresh.login("--store", "passphrase", code=1).stderr
    fresh.login("--store", "passphrase", env=right)
    assert json.loads(fresh("status", "own", "--json", env=right).stdout)["kept"] == "passphrase"
    wrapped = json.loads((home / ".local/state/wigeon/sessions/keys/passphrase").read_text())
    assert (wrapped["kdf"], wrapped["memory_kib"]) == ("argon2id", 65536)
    assert json.loads(fresh("credentials", "own", env=right).stdout)["Version"] == 1
    refused = fresh("credentials", "own", env={"WIGEON_PASSPHRASE": "wrong"}, code=5)
    assert "the passphrase is another one" in refused.stderr and "wrong" not in refused.stderr
    assert "WIGEON_PASSPHRASE_FILE" in fresh("credentials", "own", code=1).stderr
    # An agent that knows it serves those who do not.
    fresh("agent", "start", env=right)
    assert json.loads(fresh("credentials", "own").stdout)["Version"] == 1
    child = fresh("exec", "own", "--", "env", env={**right, "WIGEON_PASSPHRASE": "correct horse battery staple"}).stdout
    assert "correct horse" not in child


def test_a_place_that_cannot_be_written_is_known_before_the_browser_opens(fresh, home):
    (home / ".local/state/wigeon/sessions").mkdir(parents=True, mode=0o700)
    (home / ".local/state/wigeon/sessions/p-own").write_text("in the way")
    done = fresh.login(code=1)
    assert "sessions/p-own" in done.stderr and "http" not in done.stderr


# ---- a keychain --------------------------------------------------------------------------------------------


@pytest.fixture
def desktop(tmp_path_factory):
    """A session bus with gnome-keyring on it, unlocked: the variables that lead there, and the processes."""
    if shutil.which("gnome-keyring-daemon") is None and os.geteuid() == 0 and shutil.which("apt-get"):
        env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        subprocess.run(["apt-get", "install", "-y", "-qq", "gnome-keyring", "libsecret-tools", "dbus", "libglib2.0-bin"], env=env, capture_output=True, check=False)
    if not all(map(shutil.which, ("gnome-keyring-daemon", "dbus-daemon", "gdbus"))):
        pytest.skip("there is no gnome-keyring here")
    home = tmp_path_factory.mktemp("desktop")
    run = home / "run"
    run.mkdir(mode=0o700)
    variables = {**environment(home), "XDG_RUNTIME_DIR": str(run)}
    bus = subprocess.Popen(["dbus-daemon", "--session", "--nofork", "--print-address"], env=variables, stdin=subprocess.DEVNULL,
                           stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    variables["DBUS_SESSION_BUS_ADDRESS"] = bus.stdout.readline().strip()
    keyring = subprocess.Popen(["gnome-keyring-daemon", "--foreground", "--unlock", "--components=secrets"], env=variables,
                               stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    keyring.stdin.write(b"login-password")
    keyring.stdin.close()

    class Desktop:
        # The way of a desktop, and not the place of another person's files.
        env = {"DBUS_SESSION_BUS_ADDRESS": variables["DBUS_SESSION_BUS_ADDRESS"]}
        process = keyring

        @staticmethod
        def call(method, *arguments):
            command = ["gdbus", "call", "--session", "--dest", "org.freedesktop.secrets", "--object-path", "/org/freedesktop/secrets",
                       "--method", f"org.freedesktop.Secret.Service.{method}", *arguments]
            return subprocess.run(command, env=variables, capture_output=True, text=True, timeout=20, check=False)

        def lock(self):
            collection = re.search(r"'(/[^']+)'", self.call("ReadAlias", "default").stdout)[1]
            assert collection != "/" and self.call("Lock", f"['{collection}']").returncode == 0

    for _ in range(100):
        if "/org/freedesktop/secrets/collection" in Desktop.call("ReadAlias", "default").stdout:
            break
        time.sleep(0.05)
    else:
        raise AssertionError("gnome-keyring has no default collection")
    yield Desktop()
    for process in (keyring, bus):
        process.send_signal(signal.SIGCONT)
        process.terminate()
        process.wait(timeout=20)


def test_the_keychain_is_used_where_there_is_one(fresh, home, desktop):
    fresh.login(env=desktop.env)
    sessions = home / ".local/state/wigeon/sessions"
    assert sorted(file.name for file in (sessions / "keys").iterdir()) == ["keychain", "lock"]
    key_id = (sessions / "keys/keychain").read_text()
    sealed = Kept(home, "own").path.read_bytes()
    assert sealed.startswith(f"wigeon-sealed 1 keychain {key_id}\n".encode())
    assert json.loads(fresh("status", "own", "--json", env=desktop.env).stdout)["kept"] == "keychain"
    assert json.loads(fresh("credentials", "own", env=desktop.env).stdout)["Version"] == 1
    # The keychain has one small key, whatever the tokens' size; and it is the key.
    found = subprocess.run(["secret-tool", "lookup", "service", "wigeon", "username", key_id], capture_output=True,
                           env={**environment(home), **desktop.env}, check=True).stdout
    assert len(found) == 32 and hashlib.sha256(b"wigeon key id" + found).hexdigest()[:16] == key_id
    # Without the session bus it cannot be opened, and that is said.
    assert "no keychain here" in fresh("credentials", "own", code=1).stderr


def test_a_locked_keychain_hangs_nobody_and_opens_no_dialog(fresh, home, desktop):
    fresh.login(env=desktop.env)
    desktop.lock()
    begun = time.monotonic()
    done = fresh("credentials", "own", env=desktop.env, code=6)
    assert time.monotonic() - begun < 5
    assert "the keychain is locked" in done.stderr and "--store file" in done.stderr
    # A person who signs in is told where it goes instead, before they sign in.
    done = fresh.login(env=desktop.env)
    assert "the keychain is locked" in done.stderr and json.loads(fresh("credentials", "own", env=desktop.env).stdout)["Version"] == 1
    assert json.loads(fresh("status", "own", "--json", env=desktop.env).stdout)["kept"] == "file"
    refused = fresh.login("--store", "keychain", env=desktop.env, code=6)
    assert "http" not in refused.stderr


def test_a_keychain_that_hangs_is_given_up_after_two_seconds(fresh, home, desktop):
    fresh.login("--store", "keychain", env=desktop.env)
    desktop.process.send_signal(signal.SIGSTOP)
    begun = time.monotonic()
    done = fresh("credentials", "own", env=desktop.env, code=6)
    assert 1.5 < time.monotonic() - begun < 6 and "two seconds" in done.stderr
    desktop.process.send_signal(signal.SIGCONT)
    assert json.loads(fresh("credentials", "own", env=desktop.env).stdout)["Version"] == 1
