"""Embed every candidate with a trained 2d3d model: all_output_info.npz."""

from lib.errors import run_script
from simsiam_test_hm_3d import main

if __name__ == "__main__":
    run_script(lambda: main("simsiam2d3d"))
