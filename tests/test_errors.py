"""How a script says what is wrong, and what it does not hide."""

import errno
import os
import signal
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


@pytest.mark.parametrize("kind", errors.UserError.__subclasses__())
def test_error_is_one_line_and_exit_code_2(kind, capsys):
    def main():
        raise kind("a.tlt has 3 angles for 41 images")

    assert exit_of(main) == 2
    said = capsys.readouterr()
    assert said.err == "plot_2d.py: error: a.tlt has 3 angles for 41 images\n"
    assert said.out == ""


def test_a_script_that_ends_well_exits_with_0():
    assert errors.run_script(lambda: None) is None


DISK = [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EFBIG, errno.ESTALE]
PLACE = [errno.EACCES, errno.EPERM, errno.ENOENT, errno.EEXIST, errno.ENOTDIR]


@pytest.mark.parametrize("code", DISK)
def test_full_or_faulty_disk_is_told_wherever_it_is_met(code, capsys):
    def main():
        raise OSError(code, os.strerror(code), "exp/log.txt")

    assert exit_of(main) == 2
    said = capsys.readouterr().err
    assert f"error: exp/log.txt: {os.strerror(code)}; " in said
    assert "Traceback" not in said


@pytest.mark.parametrize("code", [*DISK, *PLACE, errno.ENAMETOOLONG])
def test_fault_of_a_users_file_is_told(code, capsys):
    def main():
        with errors.user_files():
            raise OSError(code, os.strerror(code), "exp/log.txt")

    assert exit_of(main) == 2
    said = capsys.readouterr().err
    assert f"error: exp/log.txt: {os.strerror(code)}" in said
    assert "Traceback" not in said


def test_users_own_name_of_a_file_goes_before_the_systems():
    with pytest.raises(errors.ResourceError, match=r"^mine\.txt: No such file"):  # noqa: SIM117
        with errors.user_files("mine.txt"):
            open("/nowhere/.mine.partial")  # noqa: SIM115, PTH123


def test_disk_error_without_a_file_is_said_too(capsys):
    def main():
        raise OSError(errno.ENOSPC, "No space left on device")

    assert exit_of(main) == 2
    assert "error: No space left on device; make room" in capsys.readouterr().err


@pytest.mark.parametrize(
    "bug",
    [
        ZeroDivisionError("1 / 0"),
        OSError("cannot write mode F as PNG"),
        *(OSError(code, os.strerror(code), "exp/x") for code in PLACE),
        OSError(errno.EISDIR, "Is a directory", "exp/x"),
        OSError(errno.ENOTEMPTY, "Directory not empty", "exp/x"),
    ],
    ids=repr,
)
def test_a_bug_of_ours_keeps_its_traceback(bug):
    def main():
        raise bug

    with pytest.raises(type(bug)):
        errors.run_script(main)


def test_a_bug_within_a_block_of_files_keeps_its_traceback():
    with pytest.raises(KeyError), errors.user_files("a.txt"):
        raise KeyError("name")


def test_ctrl_c_ends_as_shells_expect(capsys):
    def main():
        raise KeyboardInterrupt

    assert exit_of(main) == 130
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)]
)
def test_stopped_run_says_how_to_go_on(number, code, capsys):
    def main():
        raise errors.Interrupted("interrupted; go on with --resume", number)

    assert exit_of(main) == code
    assert capsys.readouterr().err == "plot_2d.py: interrupted; go on with --resume\n"


def test_warning_goes_to_standard_error(capsys):
    errors.warn("voxel sizes differ")
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "warning: voxel sizes differ\n")


def test_what_several_stages_meet_is_said_once(capsys):
    errors.warn_once("said by test_errors")
    errors.warn_once("said by test_errors")
    assert capsys.readouterr().err.count("said by test_errors") == 1
