"""The command line: `app` declares the commands, one module each carries them out and gives an `Answer`."""

from modelforge.cli.app import main as main
