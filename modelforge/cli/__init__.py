"""The command line: `app` declares the commands, one module each carries them out and gives an `Answer`."""

from modelforge.core.ctrl_c import end_at_ctrl_c


def main() -> None:
    """The entry point of the `modelforge` command."""
    end_at_ctrl_c()
    from modelforge.cli.app import main as run

    run()
