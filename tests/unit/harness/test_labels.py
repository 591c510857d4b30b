"""Only what dead processes of this host left counts as stale."""

import os
import subprocess
import sys

from harness.labels import Owner, this_host


def test_this_process_is_alive() -> None:
    assert not Owner.this_process().is_dead()


def test_an_ended_process_is_dead() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    script = "from harness.labels import _start_of; import sys; print(_start_of(int(sys.argv[1])))"
    start = subprocess.check_output([sys.executable, "-c", script, str(child.pid)], text=True).strip()
    owner = Owner(str(child.pid), start, this_host())
    assert not owner.is_dead()
    child.communicate()
    assert owner.is_dead()


def test_a_process_that_took_over_the_number_is_not_the_owner() -> None:
    assert Owner(str(os.getpid()), "1", this_host()).is_dead()


def test_a_kept_stack_and_one_of_another_host_are_never_stale() -> None:
    assert not Owner.kept().is_dead()
    assert not Owner("1", "1", "elsewhere/0").is_dead()
    assert not Owner.of({}).is_dead()


def test_labels_are_read_back_as_they_were_written() -> None:
    owner = Owner.this_process()
    assert Owner.of(owner.labels("stack", "service")) == owner
