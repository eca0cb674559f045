"""`wigeon ssh` through a real sshd on loopback, with keys of its own."""

import json
import os
import pathlib
import pwd
import shutil
import subprocess
import time

import pytest

from conftest import BINARY, environment, free_port
from test_client_with_wigeon import root, signed_in


def debian(folder):
    """Debian's sshd, unpacked and not installed: nothing is started by itself."""
    if not shutil.which("apt-get"):
        pytest.skip("there is no sshd here, and no apt-get to get one")
    for package in ("openssh-server", "libwrap0"):
        got = subprocess.run(["apt-get", "download", "-qq", package], cwd=folder, capture_output=True, text=True)
        if got.returncode != 0:
            subprocess.run(["apt-get", "update", "-qq"], capture_output=True, check=False)
            got = subprocess.run(["apt-get", "download", "-qq", package], cwd=folder, capture_output=True, text=True)
        assert got.returncode == 0, got.stderr
    for package in folder.glob("*.deb"):
        subprocess.run(["dpkg", "-x", package, folder], check=True)
    [library] = folder.rglob("libwrap.so.0")
    return folder / "usr/sbin/sshd", {"LD_LIBRARY_PATH": str(library.parent)}


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    """ssh's options for a host that is this machine."""
    folder = tmp_path_factory.mktemp("sshd")
    if not shutil.which("ssh"):
        pytest.skip("there is no ssh here")
    found = shutil.which("sshd") or "/usr/sbin/sshd"
    sshd, env = (pathlib.Path(found), {}) if pathlib.Path(found).exists() else debian(folder)
    if os.geteuid() == 0:
        pathlib.Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        try:
            pwd.getpwnam("sshd")
        except KeyError:
            subprocess.run(["useradd", "--system", "--no-create-home", "--home-dir", "/run/sshd", "--shell", "/usr/sbin/nologin", "sshd"], check=True)
    for name in ("host", "person"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
    (folder / "authorized").write_text((folder / "person.pub").read_text())
    port = free_port()
    (folder / "sshd_config").write_text(
        f"ListenAddress 127.0.0.1\nPort {port}\nHostKey {folder}/host\nAuthorizedKeysFile {folder}/authorized\nStrictModes no\n"
        f"PasswordAuthentication no\nUsePAM no\nPidFile none\nPermitRootLogin yes\nAllowTcpForwarding remote\n")
    log = open(folder / "log", "wb")
    process = subprocess.Popen([sshd.resolve(), "-D", "-e", "-f", folder / "sshd_config"], env={**os.environ, **env}, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    key = (folder / "host.pub").read_text().split()
    (folder / "known").write_text(f"[127.0.0.1]:{port} {key[0]} {key[1]}\n")
    config = folder / "config"
    config.write_text(
        f"Host there\n  HostName 127.0.0.1\n  Port {port}\n  User {pwd.getpwuid(os.geteuid()).pw_name}\n  IdentityFile {folder}/person\n"
        f"  IdentitiesOnly yes\n  UserKnownHostsFile {folder}/known\n  BatchMode yes\n")
    for _ in range(100):
        if subprocess.run(["ssh", "-F", config, "there", "true"], capture_output=True, stdin=subprocess.DEVNULL).returncode == 0:
            break
        assert process.poll() is None, (folder / "log").read_text()
        time.sleep(0.1)
    else:
        raise AssertionError((folder / "log").read_text())
    yield config
    process.terminate()
    process.wait(timeout=10)
    log.close()


@pytest.fixture(scope="module")
def own(tmp_path_factory, server, identity, browse):
    root(server)
    return signed_in(tmp_path_factory.mktemp("ssh"), browse, server, identity.issuer)


def test_tools_there_have_credentials_of_here(own, host):
    environment_there = os.environ["PATH"]
    done = own("ssh", "-F", host, "there", "--", f"PATH={environment_there} aws s3 cp s3://shared/readme.txt -")
    assert done.stdout.endswith("for everyone\n")
    seen = own("ssh", "-F", host, "there", "--", "env; stat -c '%a %n' $WIGEON_LOAN $WIGEON_LOAN/*").stdout
    values = dict(line.split("=", 1) for line in seen.splitlines() if "=" in line)
    assert values["AWS_CONTAINER_CREDENTIALS_FULL_URI"].startswith("http://127.0.0.1:")
    assert "AWS_SECRET_ACCESS_KEY" not in values
    modes = {line.split()[1].split("/")[-1]: line.split()[0] for line in seen.splitlines() if line[:4] in ("600 ", "700 ")}
    assert {modes[name] for name in ("env", "token", "config")} == {"600"}
    # Nothing stays there.
    assert not pathlib.Path(values["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"]).parent.exists()


def test_the_token_is_in_nobodys_arguments(own, host):
    script = "cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' '\\n' | grep -cF \"$AWS_CONTAINER_AUTHORIZATION_TOKEN\""
    done = own("ssh", "-F", host, "there", "--", script + " | { read n; echo found $n; }", timeout=60)
    # `grep` has it among its own arguments, and nobody else.
    assert done.stdout.split("found ")[1].strip() in ("0", "1")


def test_exit_codes_and_failures_come_back(own, host):
    own("ssh", "-F", host, "there", "--", "exit 7", code=7)
    assert "ssh cannot connect to `nowhere.invalid`" in own("ssh", "-o", "BatchMode=yes", "nowhere.invalid", "--", "true", code=1).stderr
    own("ssh", "-oProxyCommand=x", code=2)
    own("ssh", "--", "true", code=2)
