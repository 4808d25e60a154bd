"""``python -m sweeps.cli`` is `factorlab`."""

from sweeps.cli.main import main

main()
