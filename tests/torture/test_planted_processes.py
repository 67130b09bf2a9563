"""Bugs planted into real processes: each starts with a file that changes matchcore under it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

#: What a process that starts with it gets wrong, and what the bench must say.
BUGS = {
    "threads-0": ("""
        from matchcore.engine import pipeline
        from matchcore.engine import submissions
        def early(real):
            def answered(self, machine, submission, *given):
                placed = real(self, machine, submission, *given)
                if isinstance(submission, submissions.Promise):
                    submission.done()
                return placed
            return answered
        for name in ("place", "place_batch"):
            setattr(pipeline.Pipeline, name, early(getattr(pipeline.Pipeline, name)))
        """, "acknowledged, "),
    "threads-1": ("""
        from matchcore.journal import writer
        append = writer.FileLog.append
        def other(self, commands, *given, **more):
            turned = commands[::-1].copy() if len(commands) > 1 else commands
            append(self, turned, *given, **more)
        writer.FileLog.append = other
        """, "the log is not what was given"),
    "threads-2": ("""
        from matchcore.engine.engine import Engine
        submit_batch = Engine.submit_batch
        def tired(self, commands):
            if self.sequence > 500:
                raise RuntimeError("tired")
            return submit_batch(self, commands)
        Engine.submit_batch = tired
        """, "nobody killed"),
    "aside-0": ("""
        import sys
        from matchcore.journal import snapshots
        write = snapshots.write
        def half(directory, **given):
            if "matchcore.engine.snapshotting" in " ".join(sys.orig_argv):
                given["payload"] = given["payload"][:-1] + b"?"
            return write(directory, **given)
        snapshots.write = half
        """, "a bad snapshot"),
    "digests-0": ("""
        from matchcore.machine import state
        digest = state.State.digest
        state.State.digest = lambda self: digest(self)[:-1] + str(hash("ANA") % 10)
        """, "another digest than live"),
}  # fmt: skip


@pytest.mark.parametrize("case", BUGS)
def test_a_bug_in_a_real_process_is_found(tmp_path: Path, case: str) -> None:
    code, what = BUGS[case]
    lines = [line[8:] for line in code.splitlines()]
    (tmp_path / "sitecustomize.py").write_text("\n".join(lines))
    paths = [str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])]
    done = subprocess.run(
        [sys.executable, "-m", "matchcore", "torture", "--seed", "1", "--case", case, "--json"],
        capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), "TMPDIR": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 1, done.stdout + done.stderr
    (failure,) = json.loads(done.stdout)["failures"]
    assert what in failure["what"]
    shutil.rmtree(tmp_path)
