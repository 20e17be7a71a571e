"""How a script says what is wrong, and what it does not hide."""

import errno
import sys

import pytest

from lib import errors


@pytest.fixture(autouse=True)
def script_name(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/somewhere/plot_2d.py", "--input", "x"])


def exit_of(main):
    with pytest.raises(SystemExit) as stopped:
        errors.run_script(main)
    return stopped.value.code


@pytest.mark.parametrize("kind", errors.Refusal.__subclasses__())
def test_refusal_is_one_line_and_exit_code_2(kind, capsys):
    def main():
        raise kind("a.tlt has 3 angles for 41 images")

    assert exit_of(main) == 2
    said = capsys.readouterr()
    assert said.err == "plot_2d.py: error: a.tlt has 3 angles for 41 images\n"
    assert said.out == ""


def test_a_script_that_ends_well_exits_with_0():
    assert errors.run_script(lambda: None) is None


@pytest.mark.parametrize(
    "code", [errno.ENOSPC, errno.EACCES, errno.EROFS, errno.EIO, errno.ENOENT]
)
def test_full_or_forbidden_disk_names_the_file(code, capsys):
    def main():
        raise OSError(code, "cannot", "exp/log.txt")

    assert exit_of(main) == 2
    said = capsys.readouterr().err
    assert "exp/log.txt: cannot" in said
    assert "Traceback" not in said


def test_disk_error_without_a_file_is_said_too(capsys):
    def main():
        raise OSError(errno.ENOSPC, "No space left on device")

    assert exit_of(main) == 2
    assert "error: No space left on device" in capsys.readouterr().err


@pytest.mark.parametrize("bug", [ZeroDivisionError("1 / 0"), OSError(errno.ENOEXEC)])
def test_a_bug_of_ours_keeps_its_traceback(bug):
    def main():
        raise bug

    with pytest.raises(type(bug)):
        errors.run_script(main)


def test_ctrl_c_ends_as_shells_expect():
    def main():
        raise KeyboardInterrupt

    assert exit_of(main) == 130


def test_warning_goes_to_standard_error(capsys):
    errors.warn("voxel sizes differ")
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "warning: voxel sizes differ\n")


def test_what_several_stages_meet_is_said_once(capsys):
    errors.warn_once("said by test_errors")
    errors.warn_once("said by test_errors")
    assert capsys.readouterr().err.count("said by test_errors") == 1
