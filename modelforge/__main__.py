"""`python -m modelforge`: the command, where its script is not on the search path."""

from modelforge.cli import main

if __name__ == "__main__":
    main()
