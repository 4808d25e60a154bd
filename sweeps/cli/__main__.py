"""Entry point of ``python -m sweeps.cli``, equivalent to `factorlab`."""

from sweeps.cli.main import main

main()
