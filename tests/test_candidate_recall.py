import pytest

from tests.scripts import PROJECT, call

SIGMAS = "1.2,2.5,4,6,9"


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    """Two sets whose tomograms have the same name."""
    folders = []
    for seed in (1, 2):
        folders.append(tmp_path_factory.mktemp("set"))
        size = ("--tomograms", 1, "--size", 96, 96, 48)
        options = ("--out", folders[-1], "--seed", seed, *size)
        call("sample_data/make_synthetic.py", *options, cwd=PROJECT)
    return folders


def recalls(done):
    rows = [line.split("|")[1:-1] for line in done.stdout.splitlines() if "|" in line]
    return {row[0].strip(): float(row[2]) for row in rows[2:]}


def measure(*options, code=0):
    options = (*options, "--bbox", 16, "--dog_boundary", 12)
    return call("benchmarks/candidate_recall.py", *options, cwd=PROJECT, code=code)


def test_particles_are_found_in_their_own_set_and_tomogram(sets):
    done = measure(*sets, "--dog", SIGMAS, "--dog_std_multiplier", -1)
    found = recalls(done)
    assert found["sphere"] >= 0.9
    assert found["shell"] >= 0.9
    assert "in 2 tomograms" in done.stdout


def test_a_search_for_the_wrong_size_finds_few(sets):
    done = measure(*sets, "--dog", "9,12")
    assert sum(recalls(done).values()) / len(recalls(done)) < 0.5


def test_fill_costs_no_particles(sets):
    options = ("--dog", SIGMAS, "--dog_std_multiplier", -1, "--disturb", "fill:-8")
    done = measure(sets[0], *options)
    row = next(line for line in done.stdout.splitlines() if "fill:-8" in line)
    _, _, particles, before, after, _, _, borders, beads, _ = row.split("|")
    assert int(particles) > 5
    assert float(after) >= 0.9 * float(before) > 0.7
    assert float(borders) <= 0.02
    assert int(beads) == 0


@pytest.mark.parametrize(
    ("fault", "told"),
    [("fog", "--disturb fog: expected fill:LEVEL"), ("gold", "simulate.py --gold")],
)
def test_a_fault_that_cannot_be_had_is_rejected(sets, fault, told):
    done = measure(sets[0], "--disturb", fault, code=2)
    assert told in done.stderr


def test_a_folder_without_truth_is_rejected(tmp_path):
    done = measure(tmp_path, code=2)
    assert f"{tmp_path} has no particles.csv" in done.stderr


def test_tomograms_that_are_not_there_are_rejected(sets):
    done = measure(sets[0], "--tomograms", "other", code=2)
    assert f"no .rec file to search in {sets[0]}" in done.stderr
