"""Open the interactive session on the table that plot_2d.py wrote."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))  # a safe path lacks it

from lib.errors import run_script
from opts import PROJECT, session_options


def main():
    """Show the table in the browser until Ctrl-C."""
    options = session_options()

    from lib.inputs.image_list import listed_tomograms
    from lib.session.launch import run_session

    run_session(
        options.input,
        host=options.host,
        port=options.port,
        images=options.images,
        page=options.page,
        rec_dir=options.rec_dir,
        listed=listed_tomograms(options.image_txt, PROJECT),
        allowed=options.allow_host,
        say=lambda line: print(line, flush=True),
    )


if __name__ == "__main__":
    run_script(main)
