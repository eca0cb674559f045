"""The broker: `credentials`, `agent`, `exec` and `env`, with real tools asking."""

import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest

from conftest import BINARY, environment, runner
from test_client_with_wigeon import edit, exchanges, profile, record_of, root, signed_in


@pytest.fixture(scope="module")
def admin(server):
    return root(server)


@pytest.fixture(scope="module")
def own(tmp_path_factory, server, identity, admin, browse):
    run = signed_in(tmp_path_factory.mktemp("broker"), browse, server, identity.issuer)
    yield run
    run("agent", "stop")


@pytest.fixture
def agent(own):
    own("agent", "start")
    yield own
    own("agent", "stop")


def fetch(url, token=None, **headers):
    request = urllib.request.Request(url, headers={**({"Authorization": token} if token else {}), **headers})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=20) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as refused:
        return refused.code, json.loads(refused.read() or b"null")


def expire(run):
    edit(record_of(run), lambda credentials: credentials.update(expires_at="2020-01-01T00:00:00Z"))


# ---- credentials -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("with_agent", [False, True], ids=["alone", "agent"])
def test_a_hundred_at_once_cost_one_exchange(own, server, with_agent):
    if with_agent:
        own("agent", "start")
    expire(own)
    before = exchanges(server)
    together = [subprocess.Popen([BINARY, "credentials", "--format", "process", "own"], env=environment(own.home), stdin=subprocess.DEVNULL,
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(100)]
    answers = [process.communicate(timeout=120) for process in together]
    assert all(process.returncode == 0 for process in together), answers
    documents = [json.loads(out) for out, _ in answers]
    assert len({document["AccessKeyId"] for document in documents}) == 1 and exchanges(server) == before + 1
    assert all(document["Version"] == 1 for document in documents)
    # Nothing secret, and nothing at all, on standard error.
    assert {errors for _, errors in answers} == {""}
    if with_agent:
        own("agent", "stop")


def test_the_end_is_told_early_and_far_enough_away(own):
    document = json.loads(own("credentials").stdout)
    true_end = json.loads(own("credentials", "--format", "json").stdout)["expiration"]
    told, end = (time.mktime(time.strptime(text, "%Y-%m-%dT%H:%M:%SZ")) for text in (document["Expiration"], true_end))
    assert 0 < end - told <= 300
    assert told - time.mktime(time.gmtime()) >= 900


def test_nothing_secret_on_standard_error(own):
    document = json.loads(own("credentials").stdout)
    expire(own)
    said = own("credentials", "-vv", "--format", "process").stderr
    fresh = json.loads(own("credentials").stdout)
    kept = json.loads(record_of(own).read_text())
    for secret in (document["SecretAccessKey"], document["SessionToken"], fresh["SecretAccessKey"], fresh["SessionToken"],
                   kept["id_token"], kept["refresh_token"]):
        assert secret not in said


# ---- the agent ---------------------------------------------------------------------------------------------


def test_the_agent_comes_and_goes(own):
    assert own("agent", "status").stdout == "No agent is running.\n"
    assert "has started" in own("agent", "start").stdout
    assert "runs already" in own("agent", "start").stdout
    held = json.loads(own("credentials").stdout)["AccessKeyId"]
    # It answers from memory: what is kept on the disk is not looked at.
    kept = record_of(own).path
    hidden = kept.rename(kept.with_suffix(".hidden"))
    assert json.loads(own("credentials").stdout)["AccessKeyId"] == held
    hidden.rename(kept)
    status = json.loads(own("agent", "status", "--json").stdout)
    assert status["running"] and [session["profile"] for session in status["agent"]["sessions"]] == ["own"]
    assert status["agent"]["endpoint"].startswith("http://127.0.0.1:")
    own("agent", "run", code=1)
    socket_file = own.home / ".local/state/wigeon/run/agent.sock"
    assert socket_file.stat().st_mode & 0o777 == 0o600 and socket_file.parent.stat().st_mode & 0o777 == 0o700
    assert own("agent", "stop").stdout == "The agent has ended.\n"
    assert own("agent", "stop").stdout == "No agent was running.\n"
    assert not socket_file.exists()
    # Stopped and started in one breath.
    for _ in range(3):
        own("agent", "start")
        own("agent", "stop")


def test_a_killed_agent_is_no_hindrance(own):
    own("agent", "start")
    pid = json.loads(own("agent", "status", "--json").stdout)["agent"]["pid"]
    os.kill(pid, signal.SIGKILL)
    for _ in range(100):
        if "No agent" in own("agent", "status").stdout:
            break
        time.sleep(0.02)
    assert json.loads(own("credentials").stdout)["Version"] == 1
    assert "has started" in own("agent", "start").stdout
    own("agent", "stop")


def test_many_start_one_agent(own):
    together = [subprocess.Popen([BINARY, "agent", "start", "--json"], env=environment(own.home), stdin=subprocess.DEVNULL,
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(8)]
    answers = [process.communicate(timeout=60) for process in together]
    assert all(process.returncode == 0 for process in together), answers
    assert len({json.loads(out)["agent"]["pid"] for out, _ in answers}) == 1
    own("agent", "stop")


def test_the_agent_serves_its_own_home_only(own, agent, tmp_path_factory):
    other = tmp_path_factory.mktemp("other-home")
    # The same runtime directory, another person's profiles.
    shared = {"XDG_RUNTIME_DIR": str(own.home / ".local/state/wigeon/nothing-here")}
    assert "there is no profile" in runner(other)("credentials", "own", code=1, env=shared).stderr
    run = {"XDG_RUNTIME_DIR": str(tmp_path_factory.mktemp("run"))}
    own("agent", "start", env=run)
    assert "there is no profile `own`" in runner(other)("credentials", "own", code=1, env=run).stderr
    own("agent", "stop", env=run)


def test_systemd_hands_the_listeners_over(own, tmp_path):
    if not pathlib.Path("/usr/bin/systemd-socket-activate").exists():
        pytest.skip("there is no systemd-socket-activate here")
    runtime = tmp_path / "runtime"
    place = runtime / "wigeon"
    place.mkdir(parents=True, mode=0o700)
    env = environment(own.home, XDG_RUNTIME_DIR=str(runtime))
    path = place / "agent.sock"
    activator = subprocess.Popen(["systemd-socket-activate", "-l", path, BINARY, "agent", "run", "--idle-exit", "60"], env=env,
                                 stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        for _ in range(200):
            if path.exists():
                break
            time.sleep(0.02)
        # The socket is there before the agent is; the first caller brings it up.
        assert json.loads(own("credentials", env={"XDG_RUNTIME_DIR": str(runtime)}).stdout)["Version"] == 1
        status = json.loads(own("agent", "status", "--json", env={"XDG_RUNTIME_DIR": str(runtime)}).stdout)
        assert status["agent"]["pid"] == activator.pid
    finally:
        activator.terminate()
        activator.communicate(timeout=20)


USER_MANAGER = """
set -e
mount -t tmpfs tmpfs /run
mkdir -p /run/systemd/system -m 755
mkdir -p "$XDG_RUNTIME_DIR" -m 700
dbus-daemon --session --address="unix:path=$XDG_RUNTIME_DIR/bus" --nofork --nopidfile >/dev/null 2>&1 &
bus=$!
/lib/systemd/systemd --user --log-target=null >/dev/null 2>&1 &
manager=$!
trap 'kill $manager $bus; wait' EXIT
for i in $(seq 100); do systemctl --user is-system-running >/dev/null 2>&1 && break; sleep 0.1; done
systemctl --user is-system-running >&2
systemctl --user daemon-reload
systemctl --user start wigeon-agent.socket
"$WIGEON" credentials own
systemctl --user show wigeon-agent.service -p ActiveState --value
"$WIGEON" agent status
systemctl --user stop wigeon-agent.socket wigeon-agent.service
"""


def test_a_user_manager_of_systemd_starts_the_agent(own):
    """`wigeon setup systemd`, and a real manager, to which a namespace of mounts looks like a system that systemd has started."""
    if os.geteuid() != 0 or not all(map(shutil.which, ("unshare", "systemctl", "dbus-daemon"))) or not os.path.exists("/lib/systemd/systemd"):
        pytest.skip("there is no systemd here, or no way to a namespace of mounts")
    if subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("there are no namespaces of mounts here")
    own("setup", "systemd", "own")
    env = environment(own.home, XDG_RUNTIME_DIR="/run/user/wigeon-e2e", WIGEON=str(BINARY))
    done = subprocess.run(["unshare", "-m", "--propagation", "private", "sh", "-c", USER_MANAGER], env=env, cwd=own.home, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=90)
    own("setup", "systemd", "own", "--undo")
    if "running" not in done.stderr:
        pytest.skip(f"systemd does not start as a user's manager here: {done.stderr}")
    lines = done.stdout.splitlines()
    # The first question is answered by the agent that it starts; it then has the session.
    assert json.loads(lines[0])["Version"] == 1 and lines[1] == "active", done.stdout
    assert lines[2].startswith("The agent runs (process ") and "own: valid" in done.stdout


def test_signing_out_empties_the_agent(tmp_path_factory, server, identity, admin, browse):
    run = signed_in(tmp_path_factory.mktemp("out"), browse, server, identity.issuer)
    run("agent", "start")
    run("credentials")
    run("logout")
    failed = run("credentials", code=4)
    assert failed.stderr == 'Sign-in needed for profile "own". Run: wigeon login own\n'
    run("agent", "stop")


# ---- env ---------------------------------------------------------------------------------------------------


def test_a_shell_with_keys_that_renew(own, server):
    text = own("env", "own", "--renewing", "--shell", "sh").stdout
    assert "AWS_SECRET_ACCESS_KEY=" not in text and "unset AWS_ACCESS_KEY_ID" in text
    done = subprocess.run(["sh", "-c", text + "\naws s3 ls s3://shared"], env=environment(own.home, AWS_ACCESS_KEY_ID="stale", AWS_SECRET_ACCESS_KEY="stale"),
                          capture_output=True, text=True)
    assert "readme.txt" in done.stdout, done.stderr
    status = json.loads(own("agent", "status", "--json").stdout)
    assert status["running"]
    # The agent comes back at the same address, with the same token.
    own("agent", "stop")
    own("agent", "start")
    assert own("env", "own", "--renewing", "--shell", "sh").stdout == text
    own("agent", "stop")


def test_plain_keys_come_with_a_warning(own):
    done = own("env", "own", "--shell", "fish")
    assert "set -gx AWS_ACCESS_KEY_ID '" in done.stdout and "do not renew" in done.stderr
    assert "$Env:AWS_ACCESS_KEY_ID = '" in own("env", "--shell", "powershell", "-q").stdout
    assert own("env", "own", "-q", env={"SHELL": "/usr/bin/fish"}).stdout.count("set -gx") >= 6
    assert "unset AWS_SESSION_TOKEN" in own("env", "--unset").stdout


# ---- exec --------------------------------------------------------------------------------------------------


STALE = {
    "AWS_ACCESS_KEY_ID": "AKIASTALE", "AWS_SECRET_ACCESS_KEY": "stale", "AWS_SESSION_TOKEN": "stale", "AWS_PROFILE": "stale",
    "AWS_WEB_IDENTITY_TOKEN_FILE": "/stale", "AWS_ROLE_ARN": "arn:aws:iam::1:role/stale", "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
}


def test_exec_gives_the_three_variables_and_removes_what_is_stale(own, server):
    seen = json.loads(own("exec", "own", "--", sys.executable, "-c", "import os, json; print(json.dumps(dict(os.environ)))", env=STALE).stdout)
    assert not set(STALE) & set(seen)
    assert seen["AWS_ENDPOINT_URL_S3"] == seen["AWS_ENDPOINT_URL_STS"] == server.url
    assert (seen["AWS_REGION"], seen["AWS_EC2_METADATA_DISABLED"]) == ("us-east-1", "true")
    url, token = seen["AWS_CONTAINER_CREDENTIALS_FULL_URI"], seen["AWS_CONTAINER_AUTHORIZATION_TOKEN"]
    # Everything of the loan is gone when the program is.
    assert not pathlib.Path(seen["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"]).exists()
    with pytest.raises(OSError):
        fetch(url, token)


def test_the_endpoint_of_exec_turns_others_away(own):
    script = """
import json, os, pathlib, urllib.request, urllib.error
url, token = os.environ["AWS_CONTAINER_CREDENTIALS_FULL_URI"], os.environ["AWS_CONTAINER_AUTHORIZATION_TOKEN"]
file = pathlib.Path(os.environ["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"])
def status(url, **headers):
    try:
        return urllib.request.urlopen(urllib.request.Request(url, headers=headers)).status
    except urllib.error.HTTPError as error:
        return error.code
print(json.dumps([file.read_text() == token, oct(file.stat().st_mode & 0o777), status(url, Authorization=token), status(url),
    status(url, Authorization=token, Host="rebound.example"), status(url, Authorization=token, Origin="http://localhost"),
    status(url.replace("/own", "/other"), Authorization=token)]))
"""
    assert json.loads(own("exec", "own", "--", sys.executable, "-c", script).stdout) == [True, "0o600", 200, 401, 403, 403, 401]


def test_exec_is_transparent(own):
    assert own("exec", "own", "--", "sh", "-c", "cat; exit 7", input="through", code=7).stdout == "through"
    own("exec", "own", "--", "sh", "-c", "kill -TERM $$", code=143)
    assert "cannot run `no-such-program`" in own("exec", "own", "--", "no-such-program", code=127).stderr
    (own.home / "not-executable").write_text("x")
    own("exec", "own", "--", "./not-executable", code=126)
    own("exec", "own", code=2)
    assert own("exec", "--", "sh", "-c", "echo $WIGEON_PROFILE").stdout == "own\n"


@pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1], ids=lambda by: by.name)
def test_exec_passes_signals_on(own, by):
    script = "import signal, sys, time\nsignal.signal(%d, lambda *_: sys.exit(42))\nprint('ready', flush=True)\ntime.sleep(60)" % by
    process = subprocess.Popen([BINARY, "exec", "own", "--", sys.executable, "-c", script], env=environment(own.home),
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    process.send_signal(by)
    assert process.wait(timeout=20) == 42
    process.stdout.close()


def test_exec_keeps_the_terminal(own):
    import pty

    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(own.home)
        # Whoever runs the tests in the background has had it ignored.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.execve(BINARY, [str(BINARY), "exec", "own", "--", "sh", "-c", "trap 'echo interrupted; exit 9' INT; test -t 0 && echo terminal; i=0; while [ $i -lt 300 ] && sleep 0.1; do i=$((i+1)); done"],
                  environment(own.home))
    seen = b""
    while b"terminal" not in seen:
        seen += os.read(terminal, 1000)
    time.sleep(0.2)
    os.write(terminal, b"\x03")
    while True:
        try:
            more = os.read(terminal, 1000)
        except OSError:
            break
        if not more:
            break
        seen += more
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    # Once: what the terminal sent to all is not sent again.
    assert os.waitstatus_to_exitcode(status) == 9 and seen.count(b"interrupted") == 1


def test_exec_starts_nothing_that_could_not_work(own):
    failed = own("exec", "nothing", "--", "touch", "started", code=1)
    assert "there is no profile `nothing`" in failed.stderr and not (own.home / "started").exists()
