"""Open the interactive session on the table that plot_2d.py wrote."""

from lib.errors import run_script, warn
from opts import session_options


def main():
    """Show the table in the browser until Ctrl-C."""
    options = session_options()

    from lib.artifacts import ExperimentDir
    from lib.session.export import home_of
    from lib.session.launch import run_session
    from lib.system.preflight import inspect_folder

    exports = ExperimentDir(home_of(options.input)).exports
    result = inspect_folder(exports, "a copy of the experiment")
    if not result.ok:
        warn(
            "you can look at candidates, but not export them: "
            f"{exports}: {result.found}"
        )

    run_session(
        options.input,
        host=options.host,
        port=options.port,
        images=options.images,
        say=lambda line: print(line, flush=True),
    )


if __name__ == "__main__":
    run_script(main)
