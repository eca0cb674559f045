"""`wigeon setup`: what it writes, what it leaves alone, what it takes back, and the real tools with it."""

import json
import os
import subprocess
import sys
import textwrap

import pytest

from conftest import BINARY, environment, runner
from test_client_with_wigeon import profile, root, signed_in

CONTENT = "for everyone\n"


@pytest.fixture(scope="module")
def signed(tmp_path_factory, server, identity, browse):
    root(server)
    return signed_in(tmp_path_factory.mktemp("setup"), browse, server, identity.issuer)


@pytest.fixture
def plain(home, server, identity):
    """A profile without a sign-in: setup needs none."""
    run = runner(home)
    (home / "own.toml").write_text(profile(server, identity.issuer))
    run("profile", "import", "own.toml", "--name", "own")
    return run


def test_written_shown_and_taken_back(plain):
    config = plain.home / "aws-config"
    theirs = "[default]\nregion = eu-west-3\n"
    config.write_text(theirs)
    config.chmod(0o640)
    printed = plain("setup", "aws", "own", "--print").stdout
    assert printed.startswith("[profile own]\nregion = us-east-1\ncredential_process = ") and "[services wigeon-own]" in printed
    difference = plain("setup", "aws", "own", "--diff").stdout
    assert difference.startswith("--- ") and "+[profile own]" in difference and config.read_text() == theirs
    plain("setup", "aws", "own")
    written = config.read_text()
    assert written.startswith(theirs) and printed in written and config.stat().st_mode & 0o777 == 0o640
    assert (plain.home / "aws-config.before-wigeon").read_text() == theirs
    assert "set up already" in plain("setup", "aws", "own").stdout and config.read_text() == written
    assert plain("setup", "aws", "own", "--diff").stdout == ""
    plain("setup", "aws", "own", "--undo")
    assert config.read_text() == theirs and not (plain.home / "aws-config.before-wigeon").exists()
    assert "nothing to undo" in plain("setup", "aws", "own", "--undo").stdout


def test_a_file_that_was_not_there_goes_again(plain):
    config = plain.home / "aws-config"
    plain("setup", "boto3", "own")
    assert config.exists()
    plain("setup", "boto3", "own", "--undo")
    assert not config.exists()


def test_what_others_wrote_is_left_alone(plain):
    config = plain.home / "aws-config"
    config.write_text("[profile own]\nregion = mine\n")
    refused = plain("setup", "aws", "own", code=1)
    assert "`[profile own]` is there already" in refused.stderr and "--as NAME" in refused.stderr
    assert config.read_text() == "[profile own]\nregion = mine\n"
    plain("setup", "aws", "own", "--as", "other")
    assert "[profile other]" in config.read_text()
    edited = config.read_text().replace("region = us-east-1", "region = by-hand")
    config.write_text(edited)
    for more in ([], ["--undo"], ["--diff"]):
        assert "changed by hand" in plain("setup", "aws", "own", "--as", "other", *more, code=1).stderr
    assert config.read_text() == edited


def test_a_link_stays_a_link(plain):
    real = plain.home / "dotfiles"
    real.write_text("# mine\n")
    (plain.home / "aws-config").symlink_to(real)
    plain("setup", "aws", "own")
    assert (plain.home / "aws-config").is_symlink() and "[profile own]" in real.read_text()


def test_a_whole_file_of_ours(plain):
    place = plain.home / ".config/fsspec/wigeon-own.json"
    plain("setup", "s3fs", "own")
    assert json.loads(place.read_text())["s3"]["profile"] == "own"
    place.write_text(place.read_text().replace('"own"', '"mine"'))
    assert "left as it is" in plain("setup", "s3fs", "own", code=1).stderr
    assert "left as it is" in plain("setup", "s3fs", "own", "--undo", code=1).stderr
    place.unlink()
    plain("setup", "s3fs", "own")
    plain("setup", "s3fs", "own", "--undo")
    assert not place.exists()
    plain("setup", "systemd", "own")
    unit = (plain.home / ".config/systemd/user/wigeon-agent.socket").read_text()
    assert "ListenStream=%t/wigeon/agent.sock" in unit
    plain("setup", "systemd", "own", "--undo")
    assert not (plain.home / ".config/systemd/user/wigeon-agent.socket").exists()


@pytest.mark.parametrize("tool", ["terraform", "polars", "pyarrow", "obstore", "spark"])
def test_snippets_go_to_standard_output_or_a_file(plain, tool, server):
    done = plain("setup", tool, "own", "--as", f"n-{tool}")
    assert server.url.split("://")[1] in done.stdout and "Then: " in done.stderr
    plain("setup", tool, "own", "--as", f"n-{tool}", "--file", "here")
    assert ">>> wigeon" in (plain.home / "here").read_text()
    plain("setup", tool, "own", "--as", f"n-{tool}", "--file", "here", "--undo")
    assert not (plain.home / "here").exists()


def test_names_that_tools_cannot_have(plain):
    plain("setup", "aws", "own", "--as", "a]\n[default", code=2)


def run_tool(signed, *command, **env):
    return subprocess.run(list(map(str, command)), env=environment(signed.home, RCLONE_CONFIG=str(signed.home / "rclone.conf"), **env),
                          cwd=signed.home, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=90)


def test_the_tools_work_with_what_was_written(signed, server):
    own = lambda *arguments: signed(*arguments, env={"RCLONE_CONFIG": str(signed.home / "rclone.conf")})
    for tool in ("aws", "boto3", "s5cmd", "rclone"):
        own("setup", tool, "own")
    # No endpoint is named here: all is in the profile.
    read = [
        ("aws", "--profile", "own", "s3", "cp", "s3://shared/readme.txt", "-"),
        (sys.executable, "-c", "import boto3; print(boto3.Session(profile_name='own').client('s3').get_object(Bucket='shared', Key='readme.txt')['Body'].read().decode(), end='')"),
        ("rclone", "cat", "own:shared/readme.txt", "--retries", "1"),
        ("env", "AWS_PROFILE=own", "s5cmd", "--endpoint-url", server.url, "cat", "s3://shared/readme.txt"),
    ]
    for command in read:
        done = run_tool(signed, *command)
        assert done.stdout == CONTENT, f"{command}: {done.stderr}"


def test_the_snippets_run(signed, server):
    snippet = signed("setup", "obstore", "own", "-q").stdout.replace('"BUCKET"', '"shared"')
    script = snippet + "\nimport obstore\nprint(bytes(obstore.get(store, 'readme.txt').bytes()).decode(), end='')\n"
    done = run_tool(signed, sys.executable, "-c", script)
    assert done.stdout == CONTENT, done.stderr
    snippet = signed("setup", "pyarrow", "own", "-q").stdout
    script = snippet + "\nprint(s3.open_input_stream('shared/readme.txt').read().decode(), end='')\n"
    done = run_tool(signed, BINARY, "exec", "own", "--", sys.executable, "-c", script)
    assert done.stdout == CONTENT, done.stderr


def test_the_secret_of_duckdb_runs(signed):
    sql = signed("setup", "duckdb", "own", "--as", "duck", "--print", "-q").stdout
    sql = sql[sql.index("CREATE"):]
    signed("setup", "aws", "own", "--as", "duck")
    script = textwrap.dedent("""
        import duckdb, duckdb_extension_aws, duckdb_extension_httpfs, pathlib, sys
        db = duckdb.connect()
        for package in (duckdb_extension_httpfs, duckdb_extension_aws):
            [file] = pathlib.Path(package.__file__).parent.glob('extensions/*/*.duckdb_extension')
            db.install_extension(str(file), force_install=True)
            db.load_extension(file.name.split('.')[0])
        db.execute(sys.argv[1])
        print(db.execute("SELECT content FROM read_text('s3://shared/readme.txt')").fetchone()[0], end='')
        """)
    done = run_tool(signed, sys.executable, "-c", script, sql)
    assert done.stdout == CONTENT, done.stderr


def test_keys_for_mc_come_with_a_warning(signed):
    done = signed("setup", "mc", "own")
    assert done.stdout.startswith("export MC_HOST_own='http://") and "do not renew" in done.stderr
    assert json.loads(signed("credentials").stdout)["SecretAccessKey"] not in done.stderr
