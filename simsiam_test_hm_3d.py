"""Embed every candidate with a trained 3d model: all_output_info.npz."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))  # a safe path lacks it

from lib.errors import run_script
from lib.run.given import inference_keywords
from opts import PROJECT, embed_options


def main():
    """Embed the candidates of an image list with a trained model."""
    options = embed_options("simsiam3d")

    from lib.training.embed_list import EmbeddingJob, embed_image_list

    job = EmbeddingJob(project=PROJECT, **inference_keywords(options))
    embed_image_list(job)


if __name__ == "__main__":
    run_script(main)
